# Benchmark programs; testbed/bench/bench runs them and prints the table.

BENCH = $(BUILD)/bench

benchmarks: $(foreach p,passthrough execute executions cells $(if $(wildcard testbed/bench/log_bench.c),log_bench),$(BENCH)/$(p))

$(BENCH)/passthrough $(BENCH)/execute $(BENCH)/executions: $(BENCH)/%: \
		$(BUILD)/testbed/bench/%.o $(BUILD)/testbed/bench/client.o $(BUILD)/testbed/bench/measure.o
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ -ldl

$(BENCH)/cells $(BENCH)/log_bench: $(BENCH)/%: \
		$(BUILD)/testbed/bench/%.o $(BUILD)/testbed/bench/client.o $(BUILD)/testbed/bench/measure.o $(LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $(filter %.o,$^) -Wl,--start-group $(LIBS) -Wl,--end-group -o $@ \
		-lcrypto -lyaml -ldl
