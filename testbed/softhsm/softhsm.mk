# Unit tests that use tokens: linked with the harness.
SOFTHSM_TESTS = $(addprefix $(BUILD)/unit/,token_test role_test transparency_test)
HARNESS = $(addprefix $(BUILD)/testbed/softhsm/,harness.o p256.o)
SCRIPT = $(addprefix $(BUILD)/testbed/softhsm/,script.o script_slots.o script_objects.o script_crypto.o)
$(SOFTHSM_TESTS): $(HARNESS)
$(SOFTHSM_TESTS): private EXTRA = $(HARNESS)
$(BUILD)/unit/transparency_test: $(SCRIPT)
$(BUILD)/unit/transparency_test: private EXTRA = $(HARNESS) $(SCRIPT)

# The daemon's probe reads what the test puts on the token; the script runs through the module.
$(BUILD)/unit/role_test: | $(BUILD)/assay-probe
$(BUILD)/unit/transparency_test: | $(BUILD)/assay.so
