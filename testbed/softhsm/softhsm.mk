# Unit tests that use tokens: linked with the harness.
SOFTHSM_TESTS = $(addprefix $(BUILD)/unit/,token_test role_test transparency_test)
HARNESS = $(BUILD)/testbed/softhsm/harness.o $(BUILD)/testbed/softhsm/p256.o
$(SOFTHSM_TESTS): $(HARNESS)
$(SOFTHSM_TESTS): LIBS += $(HARNESS)

# The daemon's probe reads what the test puts on the token.
$(BUILD)/unit/role_test: | $(BUILD)/assay-probe
