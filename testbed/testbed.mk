# Tests, samples, demonstration, benchmarks: included by the top Makefile.

UNIT = $(patsubst testbed/unit/%.c,$(BUILD)/unit/%,$(wildcard testbed/unit/*_test.c))

# What a fresh Debian 12 lacks; quick when nothing is missing.
deps:
	@testbed/deps

# One program per noun, each closing with check's own line. EXTRA: objects that a test shares with
# others, given as a private variable of its target.
$(BUILD)/unit/%: $(BUILD)/testbed/unit/%.o $(LIBS)
	@mkdir -p $(@D)
	$(say)
	$(Q)$(CC) $(LDFLAGS) $< $(EXTRA) -Wl,--start-group $(LIBS) -Wl,--end-group -o $@ -lcheck -lsubunit -lm -lrt \
		-lcrypto -lyaml -larchive -ljansson -ldl

unit: $(UNIT)

check: deps
	@$(MAKE) --no-print-directory all unit
	@BUILD="$$(realpath "$(BUILD)")" testbed/run

demo:
	@testbed/demo/demo --check
	@testbed/deps
	@$(MAKE) --no-print-directory all
	@BUILD="$$(realpath "$(BUILD)")" testbed/demo/demo

# The table says what it could not compare with, where a sandbox can't be installed.
bench: deps
	-@testbed/deps bench
	@$(MAKE) --no-print-directory all benchmarks
	@BUILD="$$(realpath "$(BUILD)")" ONLY=$(ONLY) testbed/bench/bench

.PHONY: deps unit check demo bench samples benchmarks
.SECONDARY:
-include $(wildcard testbed/*/*.mk)
