# A test of the whole daemon, as those of daemon.mk.
$(BUILD)/unit/draining_test: $(WORLD)
$(BUILD)/unit/draining_test: private EXTRA = $(WORLD)
$(BUILD)/unit/draining_test: | $(addprefix $(BUILD)/,assayd assay-launcher assay-init assay-probe samples/unruly)
# The test of who waits for a cell runs the launcher, and programs of testbed/escape.
$(BUILD)/unit/waiting_test: | $(BUILD)/assay-launcher $(BUILD)/assay-init $(ESCAPE)
