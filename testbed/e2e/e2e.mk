# Programs that the end-to-end tests and the demonstration need.

all: $(BUILD)/e2e/lend

$(BUILD)/e2e/lend: $(BUILD)/testbed/e2e/lend.o
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@

all: $(BUILD)/e2e/request

$(BUILD)/e2e/request: $(BUILD)/testbed/e2e/request.o
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ -ldl

# The daemon with a clock that a test may set.
all: $(BUILD)/e2e/assayd
$(BUILD)/e2e/assayd: $(BUILD)/testbed/e2e/clock.o
$(BUILD)/e2e/assayd: $(BUILD)/plugin/daemon/main.o $(call lib,plugin/daemon plugin audit sandbox pkcs11 config config/base)
	@mkdir -p $(@D)
	$(say)
	$(Q)$(CC) $(LDFLAGS) -pie -Wl,--wrap=clock_gettime $(filter-out %.a,$^) $(filter %.a,$^) -o $@ -lcrypto -lyaml -ldl
