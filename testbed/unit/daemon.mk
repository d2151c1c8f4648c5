# Tests of the whole daemon: linked with an appliance of their own, and run beside its programs.
WORLD_TESTS = $(addprefix $(BUILD)/unit/,daemon_test authorization_test restart_test anchor_test answers_test)
WORLD = $(BUILD)/testbed/unit/world.o $(BUILD)/testbed/softhsm/harness.o
$(WORLD_TESTS): $(WORLD)
$(WORLD_TESTS): private EXTRA = $(WORLD)
$(WORLD_TESTS): | $(addprefix $(BUILD)/,assayd assay-launcher assay-init assay-probe samples/unruly)
