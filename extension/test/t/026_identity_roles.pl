# Roles that change while sessions are open: renamed, dropped, labelled anew,
# given and taken. What a session may do follows at its next statement.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $node = warden_node('main');
warden_shop($node);
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE gateway LOGIN NOINHERIT IN ROLE warden_gateway;
CREATE ROLE clerk LOGIN;
CREATE ROLE person LOGIN;
CREATE ROLE lent;
GRANT lent TO person;
GRANT SELECT ON customers TO PUBLIC;
SELECT warden.create_agent('clerk', 'clerk');
SQL

sub session
{
    my ($role) = @_;
    my %psql = (in => '', out => '', err => '', asked => 0);

    $psql{handle} = IPC::Run::start(
        [   'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d',
            $node->connstr('postgres'), '-U', $role ],
        '<', \$psql{in}, '>', \$psql{out}, '2>', \$psql{err},
        IPC::Run::timeout(120));
    return \%psql;
}

# What the session answers: rows, or the SQLSTATE and message of an error.
sub ask
{
    my ($psql, $sql) = @_;
    my $mark = 'asked' . ++$psql->{asked};

    @$psql{qw(out err)} = ('', '');
    $psql->{in} .= "$sql\n\\warn $mark\n\\echo $mark\n";
    $psql->{handle}->pump
      until $psql->{out} =~ /$mark\n/ && $psql->{err} =~ /$mark\n/;
    return $1 if $psql->{err} =~ /ERROR:  (\w+: .*)/;
    return $psql->{out} =~ s/$mark\n//r;
}

sub meanwhile { return $node->safe_psql('postgres', $_[0]) }

sub finish
{
    my ($psql) = @_;

    $psql->{in} .= "\\q\n";
    return $psql->{handle}->finish;
}

my $masked = "***-**-4801\n";
my $clear = "078-05-4801\n";
my $read = 'SELECT ssn FROM customers WHERE id = 1;';

# ---- an agent's own login --------------------------------------------------

my $agent = session('clerk');
is(ask($agent, $read), $masked, 'a direct login');
meanwhile('ALTER ROLE clerk RENAME TO renamed');
is(ask($agent, "SELECT current_user, warden.whoami() ->> 'agent', ssn"
          . " FROM customers WHERE id = 1;"),
    'renamed|clerk|***-**-4801' . "\n", 'renamed it is the same agent');
is(ask($agent, 'UPDATE customers SET name = ssn;'), '', 'and may propose');
meanwhile('ALTER ROLE renamed RENAME TO clerk');
meanwhile("SELECT warden.label_role('clerk', NULL)");
like(ask($agent, $read), qr/^WD001: this agent's role carries no warden label/,
    'an agent without its label is refused');
meanwhile("SELECT warden.label_role('clerk', 'masked')");
is(ask($agent, $read), $masked, 'labelled again it is masked');
is(ask($agent, 'SET ROLE NONE;' . $read), 'WD001: a governed session can not '
      . 'change its role', 'and stays in its role');
meanwhile("SELECT warden.label_role('clerk', 'agent')");
is(ask($agent, "BEGIN; $read"), $masked, 'an agent again');
meanwhile(<<'SQL');
DELETE FROM warden.agents WHERE agent = 'clerk';
DROP OWNED BY clerk;
REVOKE clerk FROM warden_gateway;
DROP ROLE clerk;
SQL
like(ask($agent, $read), qr/^WD001: the role of this session does not exist/,
    'one that was dropped reads nothing');
is(ask($agent, 'ROLLBACK;'), '', 'it can end its transaction');
like(ask($agent, $_), qr/^WD001:/, "nor does it get to: $_")
  for ($read, 'SELECT 1;', "SELECT pg_sleep(0);", 'CREATE TABLE x ();',
    'DO $$BEGIN NULL; END$$;', 'COPY customers TO STDOUT;', 'LISTEN x;');
isnt(ask($agent, 'SET ROLE lent;'), '', 'nor to another role');
like(ask($agent, $read), qr/^WD001:/, 'it stays refused');
finish($agent);

# ---- a person's SET ROLE ---------------------------------------------------

my $person = session('person');
is(ask($person, "SET ROLE lent; $read"), $clear, 'a role that is not governed');
meanwhile("SELECT warden.label_role('lent', 'agent')");
is(ask($person, $read), $masked, 'is, at the next statement');
meanwhile("SELECT warden.label_role('lent', NULL)");
is(ask($person, $read), $clear, 'and is not');
meanwhile('DROP ROLE lent');
like(ask($person, $read), qr/^WD001:/, 'a dropped one is refused');
is(ask($person, "RESET ROLE; $read"), $clear, 'until RESET ROLE');
meanwhile('GRANT support_agent TO person');
is(ask($person, $read), $masked, 'a membership governs');
meanwhile('REVOKE support_agent FROM person');
is(ask($person, $read), $clear, 'as long as it lasts');
finish($person);

# ---- a gateway's call ------------------------------------------------------

my $gateway = session('gateway');
my $token = meanwhile("SELECT warden.issue_token('support')");
my $enter = "BEGIN; SELECT warden.enter('$token', NULL, '{}', 'k');";

is(ask($gateway, "$enter $read"), "\n$masked", 'a call');
meanwhile('ALTER ROLE support_agent RENAME TO renamed');
is(ask($gateway, "SELECT current_user; $read"), "renamed\n$masked",
    'its role renamed');
is(ask($gateway, "SELECT warden.leave('k') ->> 'truncated'; COMMIT; SHOW role;"),
    "false\nnone\n", 'it ends as usual');
is(ask($gateway, "$enter SELECT current_user;"), "\nrenamed\n", 'another');
meanwhile('DROP OWNED BY renamed; REVOKE renamed FROM warden_gateway;'
      . 'DROP ROLE renamed');
like(ask($gateway, $read), qr/^WD001:/, 'its role dropped');
is(ask($gateway, 'ROLLBACK; SHOW role; SELECT 1;'), "none\n1\n",
    'the gateway is what it was');
like(ask($gateway, $enter), qr/^WD001: credential not accepted/,
    'and there is no such agent');
meanwhile('REVOKE warden_gateway FROM gateway');
is(ask($gateway, "ROLLBACK; $read"), $clear, 'a gateway no more, a login like others');
finish($gateway);

$node->stop;
done_testing();
