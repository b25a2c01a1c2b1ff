# Limits, budgets, and switching an agent off: at once, wherever it runs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use WardenTest;

my $node = warden_node('main');
warden_shop($node);
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE gateway LOGIN NOINHERIT IN ROLE warden_gateway;
CREATE ROLE second_agent LOGIN;
GRANT SELECT ON customers TO second_agent;
SELECT warden.create_agent('second', 'second_agent');
SELECT warden.allow_delegation('support', 'p*');
SELECT warden.allow_delegation('second', 'p*');
SQL
my $token = issue('support');

sub issue
{
    my ($agent) = @_;

    return $node->safe_psql('postgres', "SELECT warden.issue_token('$agent')");
}

sub configure
{
    my ($settings, $agent) = @_;

    $agent //= 'support';
    $node->safe_psql('postgres',
        "UPDATE warden.agents SET $settings WHERE agent = '$agent'");
    return;
}

# One call through the gateway.
sub call
{
    my ($sql, $person, $with) = @_;
    my $for = defined $person ? "'$person'" : 'NULL';

    $with //= $token;
    return "BEGIN; SELECT warden.enter('$with', $for, '{}', 'k');\n"
      . "$sql;\nSELECT warden.leave('k'); COMMIT;";
}

my $started = 0;

# Runs while something else goes on; returns a handle to finish.
sub start_psql
{
    my ($role, $sql) = @_;
    my %run = (out => '', err => '');
    my $file = sprintf('%s/%d.sql', PostgreSQL::Test::Utils::tempdir(),
        ++$started);

    append_to_file($file, "\\set VERBOSITY verbose\n$sql\n");
    $run{handle} = IPC::Run::start(
        [   'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d',
            $node->connstr('postgres'), '-U', $role, '-f', $file ],
        '<', '/dev/null', '>', \$run{out}, '2>', \$run{err},
        IPC::Run::timeout(60));
    return \%run;
}

sub acting
{
    my ($n) = @_;

    return wait_for_sql($node, "SELECT count(*) >= $n FROM pg_stat_activity"
          . " WHERE query LIKE '%pg_sleep%' AND state = 'active'"
          . " AND pid <> pg_backend_pid()");
}

# ---- statement timeout -----------------------------------------------------

configure("statement_timeout = '300ms'");
warden_fails($node, 'gateway', call('SELECT pg_sleep(10)'), '57014',
    'the agent\'s statement_timeout, through the gateway');
warden_fails($node, 'support_agent', 'SELECT pg_sleep(10)', '57014',
    'the same for the first statement of a direct login');
warden_fails($node, 'support_agent',
    "SET statement_timeout = '1h'; SELECT pg_sleep(10)", 'WD002',
    'it can not be raised');
warden_fails($node, 'support_agent',
    "BEGIN; SELECT 1; SAVEPOINT a; SELECT 1; ROLLBACK TO a; SELECT pg_sleep(10)",
    '57014', 'nor got rid of by a rollback');
my $stubborn = 'DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(10); '
  . 'EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$';
warden_fails($node, 'gateway', call($stubborn), '57014',
    'a block that catches the timeout ends, too');
warden_fails($node, 'support_agent', $stubborn, '57014',
    'a block of a direct login likewise');
warden_fails($node, 'support_agent',
    'DO $$ BEGIN BEGIN PERFORM pg_sleep(10); EXCEPTION WHEN query_canceled '
      . 'THEN LOOP PERFORM 1; END LOOP; END; END $$', '57014',
    'and one that goes on in its handler');
for my $end ('COMMIT', 'ROLLBACK')
{
    warden_fails($node, 'support_agent',
        $stubborn =~ s/BEGIN LOOP/BEGIN $end; LOOP/r, '57014',
        "nor does $end in the block itself get rid of it");
}
warden_ok($node, 'support_agent',
    'DO $$ BEGIN BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero '
      . 'THEN NULL; END; END $$; SELECT 7;', qr/^7$/m,
    'other errors can be caught');
configure("statement_timeout = '60s'");

# ---- settings --------------------------------------------------------------

configure("lock_timeout = '250ms', work_mem = '1MB', temp_file_limit = '1MB'");
warden_ok($node, 'support_agent', "SELECT 1; SHOW work_mem;", "1\n1MB",
    'work_mem of a direct login');
warden_ok($node, 'gateway', call('SHOW work_mem'), qr/^1MB$/m, 'work_mem');
warden_ok($node, 'gateway', call('SHOW temp_file_limit'), qr/^1MB$/m,
    'temp_file_limit');
warden_fails($node, 'gateway',
    call('SELECT count(*) FROM (SELECT i, md5(i::text) FROM '
          . 'generate_series(1, 200000) i ORDER BY 2) t'),
    '53400', 'temp_file_limit holds');
my $locker = start_psql('postgres',
    "BEGIN; LOCK customers; SELECT pg_sleep(5); ROLLBACK;");
acting(1);
warden_fails($node, 'gateway', call('SELECT count(*) FROM customers'),
    '55P03', 'lock_timeout, through the gateway');
warden_fails($node, 'support_agent',
    "SELECT 1;\nSELECT count(*) FROM customers",
    '55P03', 'lock_timeout of a direct login');
warden_fails($node, 'support_agent',
    'DO $$ BEGIN ROLLBACK; PERFORM 1; PERFORM count(*) FROM customers; END $$',
    '55P03', 'and of a block that has ended its transaction');
$locker->{handle}->finish;
warden_ok($node, 'support_agent',
    'DO $$ BEGIN ROLLBACK; PERFORM 1; PERFORM count(*) FROM customers; COMMIT; '
      . 'PERFORM count(*) FROM customers; END $$ ; SELECT 8', '8',
    'which such a block may do');
$node->safe_psql('postgres', 'SELECT warden.flush_audit()');
is($node->safe_psql('postgres',
        "SELECT outcome FROM warden.audit_log WHERE statement LIKE"
          . " 'DO \$\$ BEGIN ROLLBACK; PERFORM%' ORDER BY id"),
    "error\nok", 'and it is one statement in the trail, with its own outcome');
configure('lock_timeout = NULL, work_mem = NULL, temp_file_limit = NULL');

# ---- calls at once ---------------------------------------------------------

configure('max_calls = 1');
my $call = start_psql('gateway', call('SELECT pg_sleep(20)'));
acting(1);
warden_fails($node, 'gateway', call('SELECT 1'), 'WD005',
    'a second call at once, through the gateway');
warden_fails($node, 'support_agent', 'SELECT 1', 'WD005',
    'a second call at once, by a direct login');
warden_ok($node, 'second_agent', 'SELECT 1', '1', 'another agent may');
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid)"
      . " FROM pg_stat_activity WHERE query LIKE '%pg_sleep%'"
      . " AND pid <> pg_backend_pid()");
$call->{handle}->finish;
warden_ok($node, 'gateway', call('SELECT 7'), qr/^7$/m,
    'once it has ended, the next one may');
configure('max_calls = NULL');

# ---- budgets of the hour ---------------------------------------------------

configure('statements_per_hour = 3', 'second');
warden_fails($node, 'second_agent', "SELECT 1;\nSELECT 2;\nSELECT 3;\nSELECT 4;",
    'WD005', 'statements per hour');
warden_fails($node, 'second_agent', 'SELECT 1', 'WD005',
    'they are counted over connections');
configure('statements_per_hour = NULL', 'second');
configure('rows_per_hour = 10', 'second');
warden_fails($node, 'second_agent',
    "SELECT * FROM generate_series(1, 20);\nSELECT 1;", 'WD005',
    'rows per hour');
configure('rows_per_hour = 50', 'second');
warden_fails($node, 'second_agent',
    "COPY (SELECT generate_series(1, 60)) TO STDOUT;\nSELECT 1;", 'WD005',
    'those that COPY sends, too');
configure('rows_per_hour = 100', 'second');
warden_fails($node, 'second_agent',
    "BEGIN; DECLARE c CURSOR FOR SELECT generate_series(1, 60);\n"
      . "FETCH 60 FROM c; COMMIT;\nSELECT 1;", 'WD005',
    'and those of a cursor');
configure('rows_per_hour = NULL', 'second');

# A person's budget is spent through whichever agent.
configure('person_statements_per_hour = 2', $_) for ('support', 'second');
my $other = issue('second');
warden_ok($node, 'gateway', call('SELECT 7', 'pia'), qr/^7$/m,
    'first of the person\'s statements');
warden_ok($node, 'gateway', call('SELECT 7', 'pia', $other), qr/^7$/m,
    'the second through another agent');
warden_fails($node, 'gateway', call('SELECT 7', 'pia'), 'WD005',
    'then the person\'s budget is spent');
warden_ok($node, 'gateway', call('SELECT 7', 'pit'), qr/^7$/m,
    'another person\'s is not');

# Names that an agent makes up use no counters up but its own.
my $socket = wire_connect($node, 'gateway');
my $persons = 0;
my @refused;
while (!@refused && $persons < 20_000)
{
    my $calls = '';

    foreach (1 .. 100)
    {
        foreach my $sql ('BEGIN',
            "SELECT warden.enter('$token', 'p$persons', '{}', 'k')",
            'SELECT 1', "SELECT warden.leave('k')", 'COMMIT')
        {
            $calls .= wire_statement('', $sql);
        }
        $persons++;
    }
    @refused = grep { /^\w{5}$/ }
      wire_answers($socket, $calls . wire_message('S', ''));
}
is_deeply(\@refused, ['WD005'], 'persons without end');
close $socket;
configure('statements_per_hour = 1000', 'second');
warden_ok($node, 'second_agent', 'SELECT 7', '7',
    'another agent has a counter all the same');
warden_ok($node, 'gateway', call('SELECT 7', 'paula', $other), qr/^7$/m,
    'and persons of its own');
configure('statements_per_hour = NULL', 'second');
configure('person_statements_per_hour = NULL', $_) for ('support', 'second');

# ---- a transaction that stays open -----------------------------------------

# Something is done from outside, between two statements of one call.
sub outlives
{
    my ($name, $done, %with) = @_;
    my $token = issue($with{agent} // 'support');
    my %psql = (in => '', out => '', err => '');

    $psql{handle} = IPC::Run::start(
        [ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d',
            $node->connstr('postgres'), '-U', 'gateway' ],
        '<', \$psql{in}, '>', \$psql{out}, '2>', \$psql{err},
        IPC::Run::timeout(60));
    $psql{in} .= "BEGIN; SELECT warden.enter('$token', NULL, '{}', 'k');\n"
      . "DECLARE c CURSOR FOR SELECT id FROM customers;\nFETCH c;\n\\echo first\n";
    $psql{handle}->pump until $psql{out} =~ /first/;
    $node->safe_psql('postgres', $done);
    $psql{in} .= "$with{then};\n\\echo second\n";
    $psql{handle}->pump until $psql{out} =~ /second/;
    $psql{in} .= "\\q\n";
    $psql{handle}->finish;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return like($psql{err}, $with{err} // qr/WD001: this credential is not/, $name);
}

my $last = "SELECT max(id) FROM warden.tokens";

outlives('a bound session ends with its agent, a query',
    "SELECT warden.disable_agent('support')", then => 'SELECT 1');
$node->safe_psql('postgres', "SELECT warden.enable_agent('support')");
outlives('a proposal', "UPDATE warden.agents SET enabled = false WHERE agent = 'support'",
    then => "UPDATE customers SET name = 'x'");
$node->safe_psql('postgres', "SELECT warden.enable_agent('support')");
outlives('a cursor', "SELECT warden.disable_agent('support')", then => 'FETCH c');
$node->safe_psql('postgres', "SELECT warden.enable_agent('support')");
outlives('with its token', "SELECT warden.revoke_token(($last))", then => 'SELECT 1');
outlives('with the label of its role',
    "SELECT warden.label_role('support_agent', NULL)", then => 'SELECT 1',
    err => qr/WD001/);
$node->safe_psql('postgres', "SELECT warden.label_role('support_agent', 'agent')");
outlives('with its row', "DELETE FROM warden.agents WHERE agent = 'second'",
    then => 'SELECT 1', agent => 'second');
$node->safe_psql('postgres', <<'SQL');
SELECT warden.create_agent('second', 'second_agent');
SELECT warden.allow_delegation('second', 'p*');
SQL
outlives('with the time of its token',
    "UPDATE warden.agent_tokens SET expires_at = now() WHERE id = ($last)",
    then => 'SELECT 1');
outlives('and not with what others lose',
    "SELECT warden.disable_agent('second')", then => 'SELECT 1', err => qr/^$/);
$node->safe_psql('postgres', "SELECT warden.enable_agent('second')");
$token = issue('support');

# ---- switching off ---------------------------------------------------------

sub stopped
{
    my ($run, $since, $name) = @_;

    $run->{handle}->finish;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    like($run->{err}, qr/57014/, $name);
    cmp_ok(time() - $since, '<', 5, "$name, and at once");
    return;
}

my $bound = start_psql('gateway', call('SELECT pg_sleep(30)'));
my $direct = start_psql('support_agent', 'SELECT pg_sleep(30)');
my $deaf = start_psql('support_agent', $stubborn);
my $committed = start_psql('support_agent',
    $stubborn =~ s/BEGIN LOOP/BEGIN COMMIT; LOOP/r);
my $bystander = start_psql('second_agent', 'SELECT pg_sleep(3)');
acting(5);
is($node->safe_psql('postgres',
        "SELECT agent, on_behalf_of, login_role, role, bound"
          . " FROM warden.acting_agents() ORDER BY 1, 5"),
    "second||second_agent|second_agent|f\n"
      . "support||support_agent|support_agent|f\n"
      . "support||support_agent|support_agent|f\n"
      . "support||support_agent|support_agent|f\n"
      . 'support||gateway|support_agent|t',
    'who acts now is known');
my $since = time;
$node->safe_psql('postgres', "SELECT warden.disable_agent('support')");
stopped($bound, $since, 'a disabled agent\'s call ends');
stopped($direct, $since, 'a disabled agent\'s own login is interrupted');
stopped($deaf, $since, 'so is a block that catches the cancel');
stopped($committed, $since, 'or has ended its transaction before');
$bystander->{handle}->finish;
is($bystander->{err}, '', 'another agent\'s statement goes on');
warden_fails($node, 'gateway', call('SELECT 1'), 'WD001',
    'its next call is refused');
warden_fails($node, 'support_agent', 'SELECT 1', 'WD001',
    'its login is refused');

# In one connection, between two statements.
$node->safe_psql('postgres', "SELECT warden.enable_agent('support')");
my %session = (in => '', out => '', err => '');
$session{handle} = IPC::Run::start(
    [ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-U',
        'support_agent' ],
    '<', \$session{in}, '>', \$session{out}, '2>', \$session{err},
    IPC::Run::timeout(60));
$session{in} .= "SELECT 'first';\n";
$session{handle}->pump until $session{out} =~ /first/;
$node->safe_psql('postgres', "SELECT warden.disable_agent('support')");
$session{in} .= "SELECT 'second';\n\\echo done\n";
$session{handle}->pump until $session{out} =~ /done/;
unlike($session{out}, qr/second/, 'an open session is refused, too');
like($session{err}, qr/is disabled/, 'and told why');
$session{handle}->finish;

# A switch-off that is rolled back is none.
$node->safe_psql('postgres', "SELECT warden.enable_agent('support')");
$token = issue('support');
my $long = start_psql('gateway', call('SELECT pg_sleep(2)'));
acting(1);
$node->safe_psql('postgres',
    "BEGIN;\nSELECT warden.disable_agent('support');\nROLLBACK;");
$long->{handle}->finish;
is($long->{err}, '', 'a rolled-back switch-off cancels nothing');
warden_ok($node, 'gateway', call('SELECT 7'), qr/^7$/m,
    'and the token is good');

# ---- one answer, from one place --------------------------------------------

$node->safe_psql('postgres', <<'SQL');
CREATE DATABASE elsewhere;
CREATE ROLE bare;
SELECT warden.create_agent('bare', 'bare');
CREATE ROLE off;
SELECT warden.create_agent('off', 'off');
CREATE ROLE strong;
SELECT warden.create_agent('strong', 'strong');
SQL
$node->safe_psql('elsewhere', <<'SQL');
CREATE EXTENSION pg_warden;
SELECT warden.create_agent('support', 'support_agent');
SQL
my %bad = (
    wrong => 'wdn_wrong', empty => '', long => 'x' x 100000,
    unlabelled => issue('bare'), disabled => issue('off'),
    revoked => issue('support'), expired => issue('support'),
    foreign => $node->safe_psql('elsewhere',
        "SELECT warden.issue_token('support')"),
    'JWT' => 'a.b.c', 'JWT of nobody' => 'eyJhbGciOiJSUzI1NiJ9.'
      . 'eyJpc3MiOiJ4In0.AAAA', shortened => substr($token, 0, -1),
    lengthened => "${token}A", 'in capitals' => uc $token);
$node->safe_psql('postgres', <<"SQL");
SELECT warden.label_role('bare', NULL);
SELECT warden.disable_agent('off');
SELECT warden.revoke_token((SELECT max(id) - 1 FROM warden.tokens
    WHERE agent = 'support'));
UPDATE warden.agent_tokens SET expires_at = now() WHERE id = (
    SELECT max(id) FROM warden.tokens WHERE agent = 'support');
SQL
my %answers;

for my $kind (sort keys %bad)
{
    my ($code, $out, $err) = warden_psql($node, 'gateway',
        call('SELECT 7', undef, $bad{$kind}));

    $err =~ s/^psql:\S+: //mg;
    $answers{"$code $out $err"}{$kind} = 1;
}
is(scalar keys %answers, 1, 'every bad credential gets the same answer')
  or diag(explain(\%answers));
like((keys %answers)[0],
    qr/^3\s+ERROR:  WD001: credential not accepted\n.*LOCATION:  refuse_cred/s,
    'down to the line that gives it');

warden_fails($node, 'gateway', 'SELECT 1', 'WD001',
    'a gateway runs nothing where the extension is not', dbname => 'template1');

# ---- too many bad credentials ----------------------------------------------

my $tries = "\\set ON_ERROR_STOP 0\n" . join('',
    map { "BEGIN; SELECT warden.enter('wdn_$_', NULL, '{}', 'k'); ROLLBACK;\n" }
      1 .. 12);
my ($code, $out, $err) = warden_psql($node, 'gateway', $tries,
    on_error_stop => 0);
is(scalar(() = $err =~ /ERROR:  WD001/g), 9, 'nine refusals');
like($err, qr/FATAL:  WD001: credential not accepted/,
    'then the connection is closed');
warden_ok($node, 'gateway', call('SELECT 7'), qr/^7$/m,
    'which leaves the next one alone');

done_testing();
