# Benchmark programs; testbed/bench/bench runs them and prints the table.

BENCH = $(BUILD)/bench
BENCH_PROGRAMS = passthrough execute executions cells log_bench sandbox echo_static echo_glibc echo_dynamic
bench_objects = $(foreach o,$(1),$(BUILD)/testbed/bench/$(o).o)

benchmarks: $(foreach p,$(BENCH_PROGRAMS),$(BENCH)/$(p))

$(BENCH)/passthrough $(BENCH)/execute $(BENCH)/executions: $(BENCH)/%: \
		$(BUILD)/testbed/bench/%.o $(call bench_objects,client measure)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ -ldl

$(BENCH)/cells $(BENCH)/log_bench: $(BENCH)/%: \
		$(BUILD)/testbed/bench/%.o $(call bench_objects,measure) $(LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $(filter %.o,$^) -Wl,--start-group $(LIBS) -Wl,--end-group -o $@ \
		-lcrypto -lyaml -ldl

# Static, as the parent of the bare processes that it compares with.
$(BENCH)/sandbox: $(call bench_objects,sandbox ways spawn load usage measure) $(call lib,sandbox config/base)
	@mkdir -p $(@D)
	$(CC) -pthread -static -no-pie $^ -o $@

$(BENCH)/echo_static: testbed/bench/echo/static.c
	@mkdir -p $(@D)
	$(CC) -O2 $(WARN) -static -no-pie -fno-pie -nostdlib -fno-stack-protector $< -o $@

$(BENCH)/echo_glibc: testbed/bench/echo/libc.c
	@mkdir -p $(@D)
	$(CC) $(STATIC_CFLAGS) $< $(STATIC_LDFLAGS) -o $@

$(BENCH)/echo_dynamic: testbed/bench/echo/libc.c
	@mkdir -p $(@D)
	$(CC) -O2 $(WARN) $< -o $@
