# Tests of the log against crashes, failing system calls and losses of power.

$(BUILD)/crash/writer: $(BUILD)/testbed/crash/writer.o $(LIBS)
	@mkdir -p $(@D)
	$(say)
	$(Q)$(CC) $(LDFLAGS) $< -Wl,--start-group $(LIBS) -Wl,--end-group -o $@ -lcrypto -lyaml -ldl

$(BUILD)/unit/crash_test: | $(BUILD)/crash/writer

# The calls that testbed/crash/shim.c stands before.
SHIM = $(patsubst %,$(BUILD)/testbed/crash/%.o,shim shim_calls disk cut)
SHIM_TESTS = $(addprefix $(BUILD)/unit/,fault_test power_test sweep_test disk_test tamper_test publish_test clock_test)
SHIM_CALLS = clock_gettime fdatasync fsync ftruncate linkat mkdirat openat pwrite renameat unlinkat write
$(SHIM_TESTS): $(SHIM)
$(SHIM_TESTS): private EXTRA = $(SHIM)
$(SHIM_TESTS): private LDFLAGS += $(foreach f,$(SHIM_CALLS),-Wl,--wrap=$(f))
