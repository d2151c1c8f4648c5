# A test of the whole daemon, as those of daemon.mk.
$(BUILD)/unit/cancelling_test: $(WORLD)
$(BUILD)/unit/cancelling_test: private EXTRA = $(WORLD)
$(BUILD)/unit/cancelling_test: | $(addprefix $(BUILD)/,assayd assay-launcher assay-init assay-probe samples/unruly)
