# Unit tests that use tokens: linked with the harness, and some with the script of calls.
SCRIPT_TESTS = $(addprefix $(BUILD)/unit/,transparency_test module_test)
SOFTHSM_TESTS = $(addprefix $(BUILD)/unit/,token_test role_test) $(SCRIPT_TESTS)
HARNESS = $(addprefix $(BUILD)/testbed/softhsm/,harness.o p256.o)
SCRIPT = $(addprefix $(BUILD)/testbed/softhsm/script,.o _slots.o _objects.o _crypto.o)
$(SOFTHSM_TESTS): $(HARNESS)
$(SOFTHSM_TESTS): LIBS += $(HARNESS)
$(SCRIPT_TESTS): $(SCRIPT)
$(SCRIPT_TESTS): LIBS += $(SCRIPT)

# The daemon's probe reads what the test puts on the token; the script runs through the module.
$(BUILD)/unit/role_test: | $(BUILD)/assay-probe
$(SCRIPT_TESTS): | $(BUILD)/assay.so
$(BUILD)/unit/token_test: | $(BUILD)/mock/mock_hsm.so
