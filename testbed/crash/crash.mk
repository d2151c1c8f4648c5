# Tests of the log against crashes and failing system calls.

$(BUILD)/crash/writer: $(BUILD)/testbed/crash/writer.o $(LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $< -Wl,--start-group $(LIBS) -Wl,--end-group -o $@ -lcrypto -lyaml -ldl

$(BUILD)/unit/crash_test: | $(BUILD)/crash/writer

# System calls that testbed/unit/fault_test.c can make fail.
$(BUILD)/unit/fault_test: LDFLAGS += \
	$(foreach f,fdatasync fsync pwrite renameat,-Wl,--wrap=$(f))
