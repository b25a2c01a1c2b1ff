# shellcheck shell=bash
# Sourced by the scripts in this folder: where PostgreSQL is, and how to run
# it.  PG_CONFIG picks the installation.

PG_CONFIG=${PG_CONFIG:-pg_config}

# Sets the variables below; fails where there is no PG_CONFIG.
pg_env()
{
    PG_BINDIR=$("$PG_CONFIG" --bindir) || return 1
    PG_PKGLIBDIR=$("$PG_CONFIG" --pkglibdir)
    PG_SHAREDIR=$("$PG_CONFIG" --sharedir)
    PG_INCLUDEDIR=$("$PG_CONFIG" --includedir-server)
    PG_VERSION=$("$PG_CONFIG" --version | sed 's/^PostgreSQL \([0-9.]*\).*/\1/')
    PG_MAJOR=${PG_VERSION%%.*}
    PG_TESTDIR=$(dirname "$(dirname "$("$PG_CONFIG" --pgxs)")")/test
    PG_REGRESS=$PG_TESTDIR/regress/pg_regress
    PG_ISOLATION_REGRESS=$PG_TESTDIR/isolation/pg_isolation_regress
    PG_PERL=$PG_TESTDIR/perl
    export PG_CONFIG PG_BINDIR PG_PKGLIBDIR PG_SHAREDIR PG_INCLUDEDIR
    export PG_VERSION PG_MAJOR PG_REGRESS
}

# Settings under which a server finds an extension that was installed with
# DESTDIR=$1, and preloads it.  From PostgreSQL 18 on servers have
# extension_control_path for that; Debian's older ones have extension_destdir.
stage_conf()
{
    if "$PG_BINDIR/postgres" --describe-config | grep -q ^extension_destdir
    then
        echo "extension_destdir = '$1'"
    elif [ "$PG_MAJOR" -ge 18 ]
    then
        echo "extension_control_path = '$1$PG_SHAREDIR:\$system'"
    else
        echo "this PostgreSQL can not load an extension from a staging" \
            "directory: use make install and make installcheck" >&2
        return 1
    fi
    echo "dynamic_library_path = '$1$PG_PKGLIBDIR:\$libdir'"
    echo "shared_preload_libraries = 'pg_warden'"
}

# How a process that runs as root starts something that must not, where the
# kernel lets it: in a user namespace all that it writes stays root's.
can_unshare()
{
    unshare -U --map-user=postgres --map-group=postgres -- true 2>/dev/null
}
