# A server that no longer preloads the library does not let labelled roles in,
# and labelled roles have no way to a replication connection.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $node = warden_node('main', init => { allows_streaming => 1 });
warden_shop($node);
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE masked_login LOGIN;
CREATE ROLE tuned LOGIN;
CREATE ROLE freed LOGIN;
CREATE ROLE admin LOGIN IN ROLE warden_admin;
CREATE ROLE here LOGIN;
CREATE ROLE heir LOGIN IN ROLE support_agent;
CREATE ROLE gateway LOGIN NOINHERIT IN ROLE warden_gateway;
ALTER ROLE here IN DATABASE postgres SET session_preload_libraries = 'plpgsql';
ALTER ROLE tuned SET session_preload_libraries = 'auto_explain', 'plpgsql';
ALTER ROLE tuned SET work_mem = '3MB';
SQL
$node->safe_psql('postgres', <<'SQL', extra_params => [ '-U', 'admin' ]);
SELECT warden.label_role('masked_login', 'masked');
SELECT warden.label_role('tuned', 'masked');
SELECT warden.label_role('tuned', 'agent');
SELECT warden.label_role('freed', 'agent');
SELECT warden.label_role('freed', NULL);
SELECT warden.label_role('here', 'agent');
SQL

sub setting
{
    my ($role) = @_;

    return $node->safe_psql('postgres', "SELECT setconfig FROM pg_db_role_setting"
          . " WHERE setrole = '$role'::regrole ORDER BY setdatabase");
}

like(setting('support_agent'), qr/session_preload_libraries=.*pg_warden/,
    'SECURITY LABEL makes the role\'s logins load the library');
like(setting('masked_login'), qr/pg_warden/, 'label_role too');
like(setting('tuned'), qr/auto_explain.*plpgsql.*pg_warden.*work_mem=3MB/,
    'what the role has of its own stays');
is(setting('freed'), '', 'without a label it ends');
warden_ok($node, $_, 'SELECT 1', '1', "$_ logs in")
  for qw(support_agent masked_login tuned);

# ---- what goes before the role's own setting -------------------------------

like(setting('here'), qr/pg_warden.*\n.*plpgsql.*pg_warden/,
    'the library is put into the setting for one database, too');

sub unguarded
{
    return $node->safe_psql('postgres', <<'QUERY');
SELECT object, problem ~ 'in database postgres' AS special, hint
FROM warden.check() WHERE problem LIKE '%do not load pg_warden%'
QUERY
}

is(unguarded(), "gateway|f|ALTER ROLE gateway SET session_preload_libraries = "
      . "'pg_warden';\nheir|f|ALTER ROLE heir SET session_preload_libraries = "
      . "'pg_warden';",
    'logins that are governed by what they are members of are reported');
$node->safe_psql('postgres', <<'SQL');
ALTER ROLE gateway SET session_preload_libraries = 'pg_warden';
ALTER ROLE heir SET session_preload_libraries = 'plpgsql', 'pg_warden';
ALTER ROLE here IN DATABASE postgres SET session_preload_libraries = 'plpgsql';
ALTER ROLE masked_login RESET session_preload_libraries;
SQL
is(unguarded(), "here|t|SELECT warden.label_role('here', 'agent');\n"
      . "masked_login|f|SELECT warden.label_role('masked_login', 'masked');",
    'labelled roles that lost the setting, or have another in a database');
$node->safe_psql('postgres', <<'SQL', extra_params => [ '-U', 'admin' ]);
SELECT warden.label_role('here', 'agent');
SELECT warden.label_role('masked_login', 'masked');
SQL
is(unguarded(), '', 'to label them again mends it');

# ---- replication -----------------------------------------------------------

warden_fails($node, 'postgres',
    'ALTER ROLE tuned NOREPLICATION; ALTER ROLE freed REPLICATION;'
      . " SELECT warden.label_role('freed', 'agent')", '22023',
    'a role with REPLICATION can not be an agent');
my ($code, $out, $err) = $node->psql('postgres', 'IDENTIFY_SYSTEM',
    extra_params => [ '-U', 'support_agent' ], replication => 'database');
isnt($code, 0, 'an agent gets no replication connection');
like($err, qr/may not replicate/, 'and is told');
$node->safe_psql('postgres', 'ALTER ROLE support_agent REPLICATION');
warden_fails($node, 'support_agent', 'SELECT 1', 'WD001',
    'one that is given REPLICATION is refused from then on');
# A role of class masked may have it, and a gateway could be given it.
$node->safe_psql('postgres', "ALTER ROLE $_ REPLICATION")
  for qw(masked_login heir gateway admin);
for my $role (qw(support_agent masked_login heir gateway))
{
    for my $replication (qw(database true))
    {
        ($code, $out, $err) = $node->psql('postgres', 'IDENTIFY_SYSTEM',
            extra_params => [ '-U', $role ], replication => $replication);
        like($err, qr/may not replicate/,
            "$role does not replicate with replication=$replication");
    }
}
($code, $out, $err) = $node->psql('postgres', 'IDENTIFY_SYSTEM',
    extra_params => [ '-U', 'admin' ], replication => 'true');
is($code, 0, 'others do');
$node->safe_psql('postgres', "ALTER ROLE $_ NOREPLICATION")
  for qw(support_agent masked_login heir gateway admin);

# ---- the preload line is lost ----------------------------------------------

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
for my $role (qw(support_agent masked_login tuned here heir gateway))
{
    ($code, $out, $err) = $node->psql('postgres', 'SELECT ssn FROM customers',
        extra_params => [ '-U', $role ]);
    isnt($code, 0, "$role is not let in");
    like($err, qr/must be loaded via shared_preload_libraries/,
        'and the log of the client says why');
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM customers'), '2',
    'others are');

# What they had is theirs again once the label is gone.
$node->append_conf('postgresql.conf',
    "shared_preload_libraries = 'pg_warden'");
$node->restart;
$node->safe_psql('postgres', "SELECT warden.label_role('tuned', NULL)");
like(setting('tuned'), qr/auto_explain, plpgsql/, 'the rest is kept');
unlike(setting('tuned'), qr/pg_warden/, 'unlabelled');
$node->safe_psql('postgres', "SELECT warden.label_role('here', NULL)");
unlike(setting('here'), qr/"|pg_warden\b/, 'in its databases, too');

$node->stop;
done_testing();
