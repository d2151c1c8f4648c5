# Small static programs that play the application in tests of the sandbox.
ESCAPE = $(patsubst testbed/escape/%.c,$(BUILD)/escape/%,$(wildcard testbed/escape/*.c))

$(BUILD)/escape/%: testbed/escape/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -MF $(BUILD)/escape/$*.d $(STATIC_CFLAGS) $(STATIC_LDFLAGS) $< -o $@

$(patsubst %,$(BUILD)/unit/%_test,sandbox programs escape launcher): | $(ESCAPE) $(BUILD)/assay-launcher $(BUILD)/assay-init
