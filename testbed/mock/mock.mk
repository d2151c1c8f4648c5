# The mock module, and the unit tests that put it under assay.so.
MOCK_TESTS = $(addprefix $(BUILD)/unit/,contact_test fork_test handles_test objects_test operation_test \
	grant_test busy_test)

$(BUILD)/mock/mock_hsm.so: $(BUILD)/testbed/mock/mock_hsm.o
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -shared $< -o $@

$(MOCK_TESTS): | $(BUILD)/mock/mock_hsm.so $(BUILD)/assay.so
MOCK_WORLD = $(BUILD)/testbed/mock/fake.o $(BUILD)/testbed/mock/world.o
$(MOCK_TESTS): $(MOCK_WORLD)
$(MOCK_TESTS): private EXTRA = $(MOCK_WORLD)
