# Assay. Two commands on a fresh Debian 12: make demo, make check. All output goes to $(BUILD).

BUILD ?= build
# One name for each file, however the folder was named: dependencies would not fit otherwise.
override BUILD := $(abspath $(BUILD))
CC = gcc
SAN ?=
WERROR ?=
# V=1 shows whole command lines.
Q = $(if $(V),,@)
say = $(if $(V),,@echo "  $(patsubst $(BUILD)/%,%,$@)")

CPPFLAGS = -I. -D_GNU_SOURCE -MMD -MP
WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla \
       -Wundef -Wformat=2 $(WERROR)
HARDEN = -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2
CFLAGS = -std=gnu11 -O2 -g -fPIC -fvisibility=hidden -pthread $(WARN) \
	 $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all,$(HARDEN))
LDFLAGS = -Wl,-z,relro,-z,now -pthread $(if $(SAN),-fsanitize=$(SAN))
# What runs beside hostile code: static, no library but libc, never instrumented.
STATIC_CFLAGS = -std=gnu11 -O2 -g $(WARN) $(HARDEN) -fno-pie -ffunction-sections -fdata-sections
STATIC_LDFLAGS = -static -no-pie -Wl,-z,relro,-z,now -Wl,--gc-sections

objects = $(patsubst %.c,$(BUILD)/%.o,$(filter-out %/main.c,$(wildcard $(1)/*.c)))
static_objects = $(patsubst %.c,$(BUILD)/static/%.o,$(wildcard $(foreach d,$(1),$(d)/*.c)))

LIB_FOLDERS = config/base config sandbox audit audit/library pkcs11 plugin plugin/daemon plugin/cli
LIBS = $(foreach f,$(LIB_FOLDERS),$(BUILD)/lib$(subst /,-,$(f)).a)
lib = $(foreach f,$(1),$(BUILD)/lib$(subst /,-,$(f)).a)

MODULE = $(BUILD)/assay.so
PROGRAMS = $(BUILD)/assay $(BUILD)/assayd $(BUILD)/assay-probe $(BUILD)/assay-feeder $(BUILD)/assay-tpm $(BUILD)/assay-launcher $(BUILD)/assay-init

# For programs of relying parties: nothing of the inside is visible.
VERIFY = $(BUILD)/libassay-verify.so.1 $(BUILD)/libassay-verify.a

all: $(MODULE) $(PROGRAMS) $(VERIFY) samples

define archive
$(call lib,$(1)): $(call objects,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	$(Q)ar rcs $$@ $$^
endef
$(foreach f,$(LIB_FOLDERS),$(eval $(call archive,$(f))))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(say)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

$(BUILD)/static/%.o: %.c
	@mkdir -p $(@D)
	$(say)
	$(Q)$(CC) $(CPPFLAGS) $(STATIC_CFLAGS) -c $< -o $@

# The module carries no cryptographic library into its host's process, and exports C_Get* alone.
$(MODULE): $(call objects,plugin) $(call lib,pkcs11 config config/base)
	$(say)
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,--no-undefined $(call objects,plugin) \
		-Wl,--exclude-libs,ALL $(filter %.a,$^) -o $@ -lyaml -ldl

$(BUILD)/assayd: $(BUILD)/plugin/daemon/main.o $(call lib,plugin/daemon plugin audit sandbox pkcs11 config config/base)
	$(say)
	$(Q)$(CC) $(LDFLAGS) -pie $^ -o $@ -lcrypto -lyaml -ldl

$(BUILD)/assay-probe: $(BUILD)/plugin/daemon/probe/main.o $(call lib,pkcs11 config/base)
	$(say)
	$(Q)$(CC) $(LDFLAGS) -pie $^ -o $@ -ldl

# The one program that speaks HTTP and TLS.
$(BUILD)/assay-feeder: $(BUILD)/plugin/daemon/feeder/main.o $(call lib,config/base)
	$(say)
	$(Q)$(CC) $(LDFLAGS) -pie $^ -o $@ -lcurl

$(BUILD)/assay-tpm: $(BUILD)/plugin/daemon/tpm/main.o $(call lib,audit config/base)
	$(say)
	$(Q)$(CC) $(LDFLAGS) -pie $^ -o $@ -ltss2-esys -ltss2-mu -ltss2-rc -ltss2-tctildr -lcrypto

$(BUILD)/assay: $(BUILD)/plugin/cli/main.o $(call lib,plugin/cli plugin audit/library audit sandbox pkcs11 config config/base)
	$(say)
	$(Q)$(CC) $(LDFLAGS) -pie $^ -o $@ -lcrypto -lyaml -larchive -ljansson -ldl

$(BUILD)/libassay-verify.so.1: $(call objects,audit/library) $(call lib,audit config config/base) audit/library/assay-verify.map
	$(say)
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,--no-undefined -Wl,-soname,$(@F) -Wl,--gc-sections \
		-Wl,--version-script,audit/library/assay-verify.map $(filter %.o %.a,$^) -o $@ -lcrypto -lyaml

$(BUILD)/libassay-verify.a: $(call objects,audit/library) $(call lib,audit config config/base)
	$(say)
	$(Q)ld -r $^ -o $(@:.a=.o)
	$(Q)objcopy --wildcard --keep-global-symbol 'assay_*' $(@:.a=.o)
	@rm -f $@
	$(Q)ar rcs $@ $(@:.a=.o)

$(BUILD)/assay-launcher: $(call static_objects,sandbox/launcher sandbox config/base)
	$(say)
	$(Q)$(CC) $(STATIC_LDFLAGS) $^ -o $@

$(BUILD)/assay-init: $(call static_objects,sandbox/init)
	$(say)
	$(Q)$(CC) $(STATIC_LDFLAGS) $^ -o $@

$(BUILD)/plugin/cli/page.o: plugin/cli/verify.html

include testbed/testbed.mk

# PREFIX and DESTDIR as usual. Programs of the appliance go to one directory that belongs to root.
PREFIX ?= /usr/local
install: all
	install -d $(DESTDIR)$(PREFIX)/lib/assay $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include \
		$(DESTDIR)$(PREFIX)/share/man/man3 $(DESTDIR)$(PREFIX)/bin
	install -m 0755 $(MODULE) $(PROGRAMS) $(DESTDIR)$(PREFIX)/lib/assay
	ln -sf ../lib/assay/assay $(DESTDIR)$(PREFIX)/bin/assay
	install -m 0755 $(BUILD)/libassay-verify.so.1 $(DESTDIR)$(PREFIX)/lib
	ln -sf libassay-verify.so.1 $(DESTDIR)$(PREFIX)/lib/libassay-verify.so
	install -m 0644 $(BUILD)/libassay-verify.a $(DESTDIR)$(PREFIX)/lib
	install -m 0644 audit/library/assay-verify.h $(DESTDIR)$(PREFIX)/include
	install -m 0644 audit/library/assay_verify.3 $(DESTDIR)$(PREFIX)/share/man/man3
	sed -e 's|@PREFIX@|$(PREFIX)|' -e "s|@VERSION@|$$($(BUILD)/assay version | cut -d' ' -f2)|" \
		audit/library/assay-verify.pc.in >$(DESTDIR)$(PREFIX)/lib/pkgconfig/assay-verify.pc

clean:
	rm -rf $(BUILD)

.PHONY: all install clean
-include $(shell test -d $(BUILD) && find $(BUILD) -name '*.d')
