# pg_warden: the front door.
#
#   make                build the extension and the MCP server
#   make install        install both (PG_CONFIG, DESTDIR honoured)
#   make check          everything: packages, build, every kind of test
#   make demo           the whole story on a throwaway server; demo-stop ends it
#   make help           the other targets
#
# PGXS has a meaning of its own for "check", so it lives in a sub-make, see
# extension/pgxs.mk.  The MCP server has its own fragment, shim/shim.mk.

PG_CONFIG ?= pg_config
WERROR ?=
SANITIZER ?=
export PG_CONFIG WERROR SANITIZER

PGXS_MAKE = $(MAKE) --no-print-directory -f extension/pgxs.mk
VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" control/pg_warden.control)

.DEFAULT_GOAL := all
.PHONY: all ext shim install uninstall installcheck clean help dist format \
	check check-full check-style check-regress check-isolation check-tap \
	check-twoworld check-core check-build bench coverage demo demo-stop \
	install-packages

all: ext shim

ext:
	@$(PGXS_MAKE) all

# ---- the MCP server: shim/warden-mcp, check-shim, check-fuzz, ... ----------

-include shim/shim.mk

shim: $(if $(wildcard shim/shim.mk),shim/warden-mcp)

install: all $(if $(wildcard shim/shim.mk),install-shim)
	@$(PGXS_MAKE) install

uninstall: $(if $(wildcard shim/shim.mk),uninstall-shim)
	@$(PGXS_MAKE) uninstall

clean: $(if $(wildcard shim/shim.mk),clean-shim)
	@$(PGXS_MAKE) clean
	rm -rf .check .build coverage results regression.diffs regression.out \
		output_iso tmp_check pg_warden-$(VERSION).tar.gz
