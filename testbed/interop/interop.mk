# Evidence for tools written by others.
$(BUILD)/interop/sample: $(BUILD)/testbed/interop/sample.o $(call lib,audit config/base)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ -lcrypto

unit: $(BUILD)/interop/sample
