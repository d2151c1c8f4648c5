# Benchmark programs; testbed/bench/bench runs them and prints the table.

BENCH = $(BUILD)/bench
# Other stores are there when testbed/deps bench could install them.
STORES = assay naive raw $(if $(wildcard /usr/include/sqlite3.h),sqlite) \
	 $(if $(wildcard /usr/include/lmdb.h),lmdb) \
	 $(if $(wildcard /usr/include/postgresql/libpq-fe.h),postgresql)
BENCH_PROGRAMS = verify tcb_claim passthrough execute executions cells $(STORES:%=log_%) log_grow sandbox echo_static echo_glibc \
		 echo_dynamic
bench_objects = $(foreach o,$(1),$(BUILD)/testbed/bench/$(o).o)

benchmarks: $(foreach p,$(BENCH_PROGRAMS),$(BENCH)/$(p))

$(BENCH)/passthrough $(BENCH)/execute $(BENCH)/executions: $(BENCH)/%: \
		$(BUILD)/testbed/bench/%.o $(call bench_objects,client measure)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ -ldl

$(BENCH)/cells: $(BENCH)/%: $(BUILD)/testbed/bench/%.o $(call bench_objects,measure) $(LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $(filter %.o,$^) -Wl,--start-group $(LIBS) -Wl,--end-group -o $@ \
		-lcrypto -lyaml -ldl

$(BENCH)/verify $(BENCH)/tcb_claim: $(BENCH)/%: $(BUILD)/testbed/bench/%.o $(call bench_objects,measure) $(call lib,audit/library audit config config/base)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -lcrypto -lyaml -o $@

$(BENCH)/log_grow: $(call bench_objects,log_grow measure) $(call lib,audit config/base)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -lcrypto -o $@

$(BENCH)/log_sqlite: STORE_LIBRARY = -lsqlite3
$(BENCH)/log_lmdb: STORE_LIBRARY = -llmdb
$(BENCH)/log_postgresql: STORE_LIBRARY = -lpq
$(BUILD)/testbed/bench/log_postgresql.o: CPPFLAGS += -isystem /usr/include/postgresql
$(BENCH)/log_%: $(BUILD)/testbed/bench/log_%.o $(call bench_objects,producers measure) \
		$(call lib,audit config/base)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -Wl,--wrap=fdatasync $^ $(STORE_LIBRARY) -lcrypto -o $@

# Static, as the parent of the bare processes that it compares with.
$(BENCH)/sandbox: $(call bench_objects,sandbox ways spawn load costs measure) $(call lib,sandbox config/base)
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
