# Procedural languages other than plpgsql: what their interpreters keep for the
# next identity on a gateway's connection.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $node = warden_node('main');
warden_shop($node);

# A stand-in for those that may not be installed.
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE gateway LOGIN NOINHERIT IN ROLE warden_gateway;
CREATE TRUSTED LANGUAGE other HANDLER plpgsql_call_handler
    INLINE plpgsql_inline_handler VALIDATOR plpgsql_validator;
CREATE FUNCTION made() RETURNS int LANGUAGE other AS 'BEGIN RETURN 7; END';
SQL
my $token =
  $node->safe_psql('postgres', "SELECT warden.issue_token('support')");
my $enter = "BEGIN; SELECT warden.enter('$token', NULL, '{}', 'k');\n";

# ---- what stays behind ------------------------------------------------------

warden_fails($node, 'gateway', $enter . "DO LANGUAGE other 'BEGIN END';",
    'WD002', 'a block in another language on a connection that is shared');
warden_fails($node, 'gateway',
    $enter . "DO 'BEGIN EXECUTE ''DO LANGUAGE other ''''BEGIN END'''''';END';",
    'WD002', 'nor in a block');
warden_ok($node, 'gateway',
    $enter . "DO LANGUAGE plpgsql 'BEGIN END'; SELECT made();",
    qr/^7$/m, 'plpgsql keeps nothing, and functions are their owners\'');
warden_ok($node, 'support_agent', "DO LANGUAGE other 'BEGIN END'", '',
    'a connection of its own');

done_testing();
