# Tests of the log against crashes, failing system calls and losses of power.

$(BUILD)/crash/writer: $(BUILD)/testbed/crash/writer.o $(LIBS)
	@mkdir -p $(@D)
	$(say)
	$(Q)$(CC) $(LDFLAGS) $< -Wl,--start-group $(LIBS) -Wl,--end-group -o $@ -lcrypto -lyaml -ldl

$(BUILD)/unit/crash_test: | $(BUILD)/crash/writer

# The calls that testbed/crash/shim.c stands before.
SHIM = $(patsubst %,$(BUILD)/testbed/crash/%.o,shim shim_calls disk cut)
SHIM_TESTS = $(addprefix $(BUILD)/unit/,fault_test power_test sweep_test disk_test tamper_test publish_test clock_test signing_test copying_test)
SHIM_CALLS = clock_gettime fdatasync fsync ftruncate linkat mkdirat openat pwrite renameat unlinkat write
$(SHIM_TESTS): $(SHIM)
$(SHIM_TESTS): private EXTRA = $(SHIM)
$(SHIM_TESTS): private LDFLAGS += $(foreach f,$(SHIM_CALLS),-Wl,--wrap=$(f))

# Programs of an appliance whose daemon ends at a moment that a test names (moments.h).
MOMENT_CALLS = sandbox_run_watched answers_put_run answers_put_proof wire_send accepted_write tcb_accept
MOMENT_PROGRAMS = $(addprefix $(BUILD)/crash/programs/,assayd assay-launcher assay-init assay-probe assay-feeder assay-tpm)
$(BUILD)/crash/programs/assayd: $(BUILD)/plugin/daemon/main.o $(BUILD)/testbed/crash/moments.o $(call lib,plugin/daemon plugin audit sandbox pkcs11 config config/base)
	@mkdir -p $(@D)
	$(say)
	$(Q)$(CC) $(LDFLAGS) $(foreach f,$(MOMENT_CALLS),-Wl,--wrap=$(f)) -pie $^ -o $@ -lcrypto -lyaml -ldl

$(BUILD)/crash/programs/%: $(BUILD)/%
	@mkdir -p $(@D)
	$(Q)ln -f $< $@

$(BUILD)/unit/answers_test: | $(MOMENT_PROGRAMS)
all: $(BUILD)/crash/programs/assayd
