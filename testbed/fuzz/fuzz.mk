# A fuzzer per parser: make fuzz runs each for FUZZ_SECONDS from its corpus; make fuzz ONLY=leaf runs
# one. Needs clang (apt-get install clang), which nothing else here does.
FUZZ_SECONDS ?= 10
FUZZ_CC ?= clang
FUZZ_FLAGS = -std=gnu11 -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
	     -fno-sanitize-recover=all
FUZZERS = $(patsubst testbed/fuzz/%_fuzz.c,%,$(wildcard testbed/fuzz/*_fuzz.c))
FUZZ_FOLDERS = config/base config sandbox audit audit/library pkcs11 plugin
FUZZ_OBJECTS = $(patsubst %.c,$(BUILD)/fuzz/%.o,$(filter-out %/main.c,$(wildcard $(foreach f,$(FUZZ_FOLDERS),$(f)/*.c))))

$(BUILD)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(CPPFLAGS) $(FUZZ_FLAGS) -c $< -o $@

$(BUILD)/fuzz/libassay.a: $(FUZZ_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/fuzz/%_fuzz: $(BUILD)/fuzz/testbed/fuzz/%_fuzz.o $(BUILD)/fuzz/libassay.a
	$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -pthread $(filter %.o,$^) $(filter %.a,$^) -o $@ -lcrypto -lyaml -larchive -ljansson -ldl

$(BUILD)/fuzz/layers_fuzz $(BUILD)/fuzz/oci_fuzz: $(BUILD)/fuzz/plugin/cli/layers.o $(BUILD)/fuzz/plugin/cli/oci.o

# The module stands on the mock HSM.
$(BUILD)/fuzz/service_fuzz: $(BUILD)/fuzz/testbed/mock/mock_hsm.o

# What is found new goes below the build directory; the corpus beside the fuzzer stays as it is.
fuzz: $(foreach f,$(or $(ONLY),$(FUZZERS)),$(BUILD)/fuzz/$(f)_fuzz)
	@for f in $(or $(ONLY),$(FUZZERS)); do \
		mkdir -p $(BUILD)/fuzz/found/$$f; \
		echo "fuzz: $$f for $(FUZZ_SECONDS) s"; \
		$(BUILD)/fuzz/$${f}_fuzz -max_total_time=$(FUZZ_SECONDS) -verbosity=0 -print_final_stats=1 \
			-max_len=65536 -artifact_prefix=$(BUILD)/fuzz/found/$$f- \
			$(BUILD)/fuzz/found/$$f testbed/fuzz/corpus/$$f \
			|| exit 1; \
	done

.PHONY: fuzz seeds

$(BUILD)/fuzz/seeds: $(BUILD)/testbed/fuzz/seeds.o $(call lib,audit config/base)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ -lcrypto

# Seeds of evidence, written again, and the CA that goes with them.
seeds: $(BUILD)/fuzz/seeds
	$(BUILD)/fuzz/seeds testbed/fuzz/corpus >$(BUILD)/authority.h
	clang-format --assume-filename=testbed/fuzz/authority.h <$(BUILD)/authority.h >testbed/fuzz/authority.h
