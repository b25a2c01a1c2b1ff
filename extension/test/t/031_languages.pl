# Procedural languages other than plpgsql: what their interpreters keep for the
# next identity on a gateway's connection, and what their code catches.

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

sub has_language
{
    my ($name) = @_;

    return $node->safe_psql('postgres',
        "SELECT count(*) FROM pg_available_extensions WHERE name = '$name'");
}

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

# ---- what is caught ---------------------------------------------------------

SKIP:
{
    skip 'this server has no PL/Tcl', 2 unless has_language('pltcl');
    $node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION pltcl;
CREATE ROLE clerk LOGIN;
SECURITY LABEL FOR warden ON ROLE clerk IS 'masked';
CREATE TABLE late (id int, ssn text, UNIQUE (id, ssn) DEFERRABLE INITIALLY DEFERRED);
INSERT INTO late VALUES (1, '078-05-4801'), (2, '078-05-4801');
SECURITY LABEL FOR warden ON COLUMN late.ssn IS 'ssn';
GRANT SELECT, UPDATE ON late TO clerk;
CREATE PROCEDURE clash() LANGUAGE pltcl AS $$
    spi_exec {UPDATE late SET id = 2}
    catch {commit}
    elog WARNING $::errorCode
$$;
SQL
    my ($code, $out, $err) = warden_psql($node, 'clerk', 'CALL clash()');

    like($err, qr/unique_violation/, 'a commit that fails is caught');
    unlike($err, qr/078-05-4801/, 'without the row');
}

done_testing();
