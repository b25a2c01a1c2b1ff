# pg_warden: the front door.  "make help" lists the targets.
#
# PGXS has a meaning of its own for "check", so it lives in a sub-make, see
# extension/pgxs.mk.  The MCP server has its own fragment, shim/shim.mk.

#: make                 build the extension and the MCP server
#: make install         install both (PG_CONFIG and DESTDIR honoured)
#: make uninstall       remove them again
#: make installcheck    regression tests against a server that preloads pg_warden
#: make check           packages, build, every kind of test; ends in a count
#: make check-full      the same on all roads, long fuzzing and core's own suite
#: make fuzz-masking    random statements in two worlds until something is found
#: make demo            the whole story on a throwaway server
#: make demo-stop       end and remove it
#: make bench           performance tables
#:
#: make check-regress check-isolation check-tap check-shim check-twoworld
#:      check-fuzz check-core check-style check-build
#:                      one suite; parts of it by REGRESS_TESTS="mask_select",
#:                      ISOLATION_SPECS=, PROVE_TESTS="extension/test/t/x.pl",
#:                      TWOWORLD_ARGS=
#: make format          lay out what has changed since the last commit
#: make coverage        tests again with counters; report in coverage/
#: make dist            release archive from the last commit
#: make clean           remove what any of these made
#:
#: Variables: PG_CONFIG=pg_config  WERROR=1 (warnings are errors)
#:            SANITIZER=address,undefined

PG_CONFIG ?= pg_config
WERROR ?=
SANITIZER ?=
export PG_CONFIG WERROR SANITIZER

PGXS_MAKE = $(MAKE) --no-print-directory -f extension/pgxs.mk
VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" \
	control/pg_warden.control)

.DEFAULT_GOAL := all
.PHONY: all ext shim install uninstall installcheck clean help

all: ext shim

ext:
	+@$(PGXS_MAKE) all

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

# ---- the MCP server: shim/warden-mcp, install-shim, clean-shim, ... --------

-include shim/shim.mk

HAVE_SHIM := $(wildcard shim/shim.mk)

shim: $(if $(HAVE_SHIM),shim/warden-mcp)

install: all $(if $(HAVE_SHIM),install-shim)
	+@$(PGXS_MAKE) install

uninstall: $(if $(HAVE_SHIM),uninstall-shim)
	+@$(PGXS_MAKE) uninstall

clean: $(if $(HAVE_SHIM),clean-shim)
	+@$(PGXS_MAKE) clean
	rm -rf .check .build coverage results regression.diffs regression.out \
		output_iso log pg_warden-$(VERSION).tar.gz

# ---- tests -----------------------------------------------------------------

# Each goes through tools/check, which builds apart from this tree, starts
# throwaway servers and counts.  check-shim and check-fuzz are shim/shim.mk's,
# and tools/check calls them there.
SUITES = build style regress isolation tap twoworld core
.PHONY: check check-full fuzz-masking $(SUITES:%=check-%)

check:
	@tools/check

check-full:
	@tools/check --full

$(SUITES:%=check-%): check-%:
	@tools/check $*

fuzz-masking:
	@tools/fuzz-masking

# The server must be running, preload pg_warden and let PGUSER be superuser.
installcheck:
	@tools/installcheck

# ---- the demo --------------------------------------------------------------

-include demo/demo.mk

# ---- for developers --------------------------------------------------------

.PHONY: format bench coverage dist

format:
	@tools/format

bench:
	@tools/bench

coverage:
	@tools/coverage

# From the last commit, so that nothing that lies about gets in.
dist:
	git archive --format=tar.gz --prefix=pg_warden-$(VERSION)/ \
		-o pg_warden-$(VERSION).tar.gz HEAD
