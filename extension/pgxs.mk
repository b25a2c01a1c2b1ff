# How PGXS builds the extension.  The front door is ../Makefile, which runs
# this file from the top of the tree: PGXS defines targets of its own, "check"
# among them, that would get in the way in there.

MODULE_big = pg_warden
EXTENSION = control/pg_warden
OBJS := $(patsubst %.c,%.o,$(sort $(wildcard extension/*.c)))
DATA := $(sort $(wildcard control/*--*.sql))
PGFILEDESC = "pg_warden - masked reads, reviewed writes and audit for agents"

# default_version is the one place where the version is written down.
WARDEN_VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" \
	control/pg_warden.control)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)

# The server's own headers do not compile cleanly with -Wextra; as system
# headers they need not, and every warning that is left is ours.
PG_CPPFLAGS = -isystem $(shell $(PG_CONFIG) --includedir-server) \
	-Iextension -DWARDEN_VERSION='"$(WARDEN_VERSION)"'
PG_CFLAGS = -std=gnu11 -Wall -Wextra $(if $(WERROR),-Werror) \
	$(if $(SANITIZER),-fsanitize=$(SANITIZER) -fno-omit-frame-pointer)
# Calls between our files go straight there: no other library's function of the
# same name can get in between.
SHLIB_LINK = -lcrypto -Wl,-Bsymbolic-functions $(if $(SANITIZER),-fsanitize=$(SANITIZER)) \
	$(WARDEN_SHLIB_LINK)

# No bitcode: hooks gain nothing from being inlined into expressions.
override with_llvm = no

# Sources are named from the top of the tree, not from where this file is.
VPATH = .
include $(PGXS)

# PostgreSQL hands on the flags it was built with, which were gcc's. And from 16
# on its macros that walk trees cast the walkers that they are given.
ifneq ($(findstring clang,$(notdir $(CC))),)
override CFLAGS := $(filter-out -fexcess-precision=%,$(CFLAGS)) \
	-Wno-unknown-warning-option -Wno-cast-function-type-strict
endif

# PGXS tracks dependencies only where the server was configured to.  There are
# few headers and compiling is quick: any of them changed means all of it.
$(OBJS): $(wildcard extension/*.h) extension/pgxs.mk \
	control/pg_warden.control
