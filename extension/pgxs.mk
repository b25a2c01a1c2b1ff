# How PGXS builds the extension.  The front door is ../Makefile, which runs
# this file from the top of the tree (or, for a separate object directory, with
# VPATH naming the top of the tree): PGXS defines targets of its own, "check"
# among them, that would get in the way there.

MODULE_big = pg_warden
EXTENSION = control/pg_warden

# The top of the tree, wherever the objects go.
TOP := $(if $(VPATH),$(VPATH)/,)

OBJS := $(patsubst $(TOP)%.c,%.o,$(sort $(wildcard $(TOP)extension/*.c)))
DATA := $(patsubst $(TOP)%,%,$(sort $(wildcard $(TOP)control/*--*.sql)))
PGFILEDESC = "pg_warden - masked reads, reviewed writes and audit for agents"

# default_version is the one place where the version is written down.
WARDEN_VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" \
	$(TOP)control/pg_warden.control)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)

# The server's own headers do not compile cleanly with -Wextra; as system
# headers they need not, and every warning that is left is ours.
PG_CPPFLAGS = -isystem $(shell $(PG_CONFIG) --includedir-server) \
	-I$(TOP)extension -DWARDEN_VERSION='"$(WARDEN_VERSION)"'
PG_CFLAGS = -std=gnu11 -Wall -Wextra $(if $(WERROR),-Werror) \
	$(if $(SANITIZER),-fsanitize=$(SANITIZER) -fno-omit-frame-pointer)
SHLIB_LINK = -lcrypto $(if $(SANITIZER),-fsanitize=$(SANITIZER))

# No bitcode: hooks gain nothing from being inlined into expressions.
override with_llvm = no

include $(PGXS)

# PGXS tracks dependencies only where the server was configured to.  There are
# few headers and compiling is quick: any of them changed means all of it.
$(OBJS): $(wildcard $(TOP)extension/*.h) $(TOP)extension/pgxs.mk \
	$(TOP)control/pg_warden.control

# With a separate object directory its subdirectories come first, and the
# control file is copied there because PGXS counts it among what is built.
ifneq ($(TOP),)
$(OBJS): | extension
extension:
	mkdir -p $@
control/pg_warden.control: $(TOP)control/pg_warden.control
	mkdir -p control && cp $< $@
endif
