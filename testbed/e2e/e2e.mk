# Programs that the end-to-end tests and the demonstration need.

all: $(BUILD)/e2e/lend

$(BUILD)/e2e/lend: $(BUILD)/testbed/e2e/lend.o
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@

all: $(BUILD)/e2e/request

$(BUILD)/e2e/request: $(BUILD)/testbed/e2e/request.o
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ -ldl
