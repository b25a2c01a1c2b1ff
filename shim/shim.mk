# shim.mk: the MCP server, included by the top Makefile.
#
# Variables: PG_CONFIG, DESTDIR, WERROR=1, SANITIZER=address,undefined.

PG_CONFIG ?= pg_config
PKG_CONFIG ?= pkg-config
SHIM_CLANG ?= clang

SHIM_VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" \
	control/pg_warden.control 2>/dev/null)

SHIM_LEAVES = auth buf config json_load json_util jsonrpc log metrics session
SHIM_CORE = $(SHIM_LEAVES) mcp_state mcp_batch mcp_dispatch mcp_features mcp_headers \
	mcp_methods mcp_stream worker
SHIM_TRANSPORTS = http_guard http_server http_transport loop stdio_transport
SHIM_DATABASE = db_call db_names db_plain db_pool db_wait keys pg_types \
	prompts resources rows tools tools_change tools_read tools_run tools_task watch
SHIM_MODULES = main $(SHIM_CORE) $(SHIM_TRANSPORTS) $(SHIM_DATABASE)

# A build with a sanitizer has objects of its own.
SHIM_OBJDIR = shim/obj$(if $(SANITIZER),-$(subst $(comma),-,$(SANITIZER)))
SHIM_OBJS = $(SHIM_MODULES:%=$(SHIM_OBJDIR)/%.o)
SHIM_CORE_OBJS = $(SHIM_CORE:%=$(SHIM_OBJDIR)/%.o)
SHIM_UNITS = alloc auth buf config json_util jsonrpc mcp rows session
SHIM_UNIT_BINARIES = $(SHIM_UNITS:%=shim/test/unit_%)
SHIM_FUZZERS = config dispatch headers jsonrpc keys
SHIM_FUZZ_BINARIES = $(SHIM_FUZZERS:%=shim/test/fuzz_%)
SHIM_FUZZ_SECONDS ?= 10
SHIM_FUZZ_SEED ?= 1

comma := ,
SHIM_PQ_CFLAGS := $(shell $(PKG_CONFIG) --cflags libpq 2>/dev/null || \
	echo -I$$($(PG_CONFIG) --includedir))
SHIM_PQ_LIBS := $(shell $(PKG_CONFIG) --libs libpq 2>/dev/null || \
	echo -L$$($(PG_CONFIG) --libdir) -lpq)

SHIM_CFLAGS = -std=c11 -D_GNU_SOURCE -O2 -g -Wall -Wextra \
	-DWARDEN_VERSION='"$(SHIM_VERSION)"' -Ishim -pthread \
	-fstack-protector-strong $(if $(SANITIZER),,-D_FORTIFY_SOURCE=2) \
	$(if $(WERROR),-Werror) \
	$(if $(SANITIZER),-fsanitize=$(SANITIZER) -fno-omit-frame-pointer) \
	$(SHIM_PQ_CFLAGS) $(CFLAGS)
SHIM_LDFLAGS = -pthread -Wl,-z,relro,-z,now \
	$(if $(SANITIZER),-fsanitize=$(SANITIZER)) $(LDFLAGS)
SHIM_LIBS = $(SHIM_PQ_LIBS) -ljansson -lmicrohttpd -ldl

.PHONY: check-shim check-fuzz install-shim uninstall-shim clean-shim shim-units

shim/warden-mcp: $(SHIM_OBJS)
	$(CC) $(SHIM_LDFLAGS) -o $@ $(SHIM_OBJS) $(SHIM_LIBS)

# main.c holds the version, so it follows the control file.
$(SHIM_OBJDIR)/main.o: control/pg_warden.control

$(SHIM_OBJDIR)/%.o: shim/%.c | $(SHIM_OBJDIR)
	$(CC) $(SHIM_CFLAGS) -MMD -MP -c -o $@ $<

$(SHIM_OBJDIR):
	mkdir -p $@

-include $(wildcard $(SHIM_OBJDIR)/*.d)

# ---- tests -----------------------------------------------------------------

# What the protocol has beyond the product is in test/messages.c and mirrors.c.
shim/test/unit_%: shim/test/unit_%.c shim/test/unit.h shim/test/messages.c \
		$(SHIM_OBJS)
	$(CC) $(SHIM_CFLAGS) -Ishim/test $(SHIM_LDFLAGS) -o $@ $< \
		$(filter-out %/main.o,$(SHIM_OBJS)) $(SHIM_LIBS)

shim-units: $(SHIM_UNIT_BINARIES)

shim/test/conformance-server: shim/test/conformance_server.c \
		shim/test/messages.c shim/test/mirrors.c $(SHIM_OBJS)
	$(CC) $(SHIM_CFLAGS) $(SHIM_LDFLAGS) -o $@ $< \
		$(filter-out %/main.o,$(SHIM_OBJS)) $(SHIM_LIBS)

# Builds the extension too: the end-to-end tests run against the real one.
check-shim: shim/warden-mcp $(SHIM_UNIT_BINARIES) \
		$(if $(wildcard shim/test/conformance_server.c),shim/test/conformance-server)
	shim/test/run

# libFuzzer with both sanitizers; each target starts from the kept corpus.
SHIM_FUZZ_FLAGS = -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
SHIM_FUZZ_SOURCES = $(SHIM_CORE:%=shim/%.c)

SHIM_FUZZ_KEYS = shim/keys.c shim/db_plain.c

shim/test/fuzz_keys: shim/test/fuzz_keys.c $(SHIM_FUZZ_SOURCES) $(SHIM_FUZZ_KEYS)
	$(SHIM_CLANG) -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Ishim -pthread \
		$(SHIM_PQ_CFLAGS) $(SHIM_FUZZ_FLAGS) -o $@ $< $(SHIM_FUZZ_SOURCES) \
		$(SHIM_FUZZ_KEYS) $(SHIM_PQ_LIBS) -ljansson -ldl

# libmicrohttpd's part is the target's own.
shim/test/fuzz_headers: shim/test/fuzz_headers.c shim/test/mirrors.c \
		$(SHIM_FUZZ_SOURCES) shim/http_guard.c
	$(SHIM_CLANG) -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Ishim -pthread \
		$(SHIM_FUZZ_FLAGS) -o $@ $< $(SHIM_FUZZ_SOURCES) shim/http_guard.c \
		-ljansson

shim/test/fuzz_%: shim/test/fuzz_%.c shim/test/messages.c $(SHIM_FUZZ_SOURCES)
	$(SHIM_CLANG) -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Ishim -pthread \
		-DWARDEN_VERSION='"fuzz"' $(SHIM_FUZZ_FLAGS) -o $@ $< \
		$(SHIM_FUZZ_SOURCES) -ljansson

check-fuzz: $(SHIM_FUZZ_BINARIES)
	shim/test/run-fuzz $(SHIM_FUZZ_SECONDS) $(SHIM_FUZZ_SEED) $(SHIM_FUZZERS)

# ---- install, clean --------------------------------------------------------

SHIM_BINDIR = $(DESTDIR)$(shell $(PG_CONFIG) --bindir)
SHIM_MANDIR = $(DESTDIR)$(shell $(PG_CONFIG) --mandir)/man1
SHIM_DOCDIR = $(DESTDIR)$(shell $(PG_CONFIG) --docdir)/warden-mcp

install-shim: shim/warden-mcp
	install -d '$(SHIM_BINDIR)' '$(SHIM_MANDIR)' '$(SHIM_DOCDIR)/examples'
	install -m 755 shim/warden-mcp '$(SHIM_BINDIR)'
	install -m 644 shim/warden-mcp.1 '$(SHIM_MANDIR)'
	install -m 644 shim/warden-mcp.json.sample shim/warden-mcp.service \
		'$(SHIM_DOCDIR)'
	install -m 644 shim/examples/*.json '$(SHIM_DOCDIR)/examples'

# As install-shim; the folder only if nobody put anything else there.
uninstall-shim:
	rm -f '$(SHIM_BINDIR)/warden-mcp' '$(SHIM_MANDIR)/warden-mcp.1' \
		$(patsubst shim/%,'$(SHIM_DOCDIR)/%',$(wildcard shim/examples/*.json)) \
		'$(SHIM_DOCDIR)/warden-mcp.json.sample' \
		'$(SHIM_DOCDIR)/warden-mcp.service'
	[ ! -d '$(SHIM_DOCDIR)' ] || rmdir --ignore-fail-on-non-empty \
		'$(SHIM_DOCDIR)/examples' '$(SHIM_DOCDIR)'

clean-shim:
	rm -rf shim/obj shim/obj-* shim/warden-mcp shim/test/node_modules
	rm -f $(SHIM_UNIT_BINARIES) $(SHIM_FUZZ_BINARIES) \
		shim/test/conformance-server
