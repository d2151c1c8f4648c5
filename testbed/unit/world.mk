# Further tests of the whole daemon, as those of daemon.mk.
BANK_TESTS = $(addprefix $(BUILD)/unit/,cancelling_test proving_test hostile_test)
$(BANK_TESTS): $(WORLD)
$(BANK_TESTS): private EXTRA = $(WORLD)
$(BANK_TESTS): | $(addprefix $(BUILD)/,assayd assay-launcher assay-init assay-probe samples/unruly)
