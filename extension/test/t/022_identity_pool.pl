# Fifty clients, ten agents and their persons, four server connections: no call
# ever sees another's identity, role, settings or rows.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my ($pgbouncer) = grep { -x } map { "$_/pgbouncer" } '/usr/sbin',
  split /:/, $ENV{PATH};
plan skip_all => 'pgbouncer is not installed' unless $pgbouncer;

my $node = warden_node('main');
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE gateway LOGIN NOINHERIT IN ROLE warden_gateway;
CREATE TABLE notes (person text, agent text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (
    person = current_setting('warden.on_behalf_of')
    AND agent = current_setting('warden.agent'));
GRANT SELECT ON notes TO PUBLIC;
SQL

# ---- one script per agent and person ---------------------------------------

my $directory = PostgreSQL::Test::Utils::tempdir_short();
my @scripts;

for my $n (1 .. 10)
{
    $node->safe_psql('postgres', <<"SQL");
CREATE ROLE agent_$n;
SELECT warden.create_agent('bot $n', 'agent_$n');
SELECT warden.allow_delegation('bot $n', 'person *');
UPDATE warden.agents SET work_mem = '${\(1000 + $n)}kB' WHERE agent = 'bot $n';
SQL
    my $token = $node->safe_psql('postgres',
        "SELECT warden.issue_token('bot $n')");
    for my $p (1 .. 5)
    {
        $node->safe_psql('postgres',
            "INSERT INTO notes VALUES ('person $p', 'bot $n')");
        my $file = "$directory/$n-$p.sql";
        append_to_file($file, <<"SQL");
BEGIN;
SELECT warden.enter('$token', 'person $p', '{"request_id": "$n/$p"}', 'key $n');
SET search_path = "schema $n";
SELECT CASE WHEN current_user = 'agent_$n'
    AND current_setting('warden.agent') = 'bot $n'
    AND current_setting('warden.on_behalf_of') = 'person $p'
    AND current_setting('warden.request_id') = '$n/$p'
    AND current_setting('search_path') = '"schema $n"'
    AND current_setting('work_mem') = '${\(1000 + $n)}kB'
    AND (SELECT array_agg(person || agent) FROM public.notes)
        = ARRAY['person ${p}bot $n']
    THEN 1 ELSE 1 / (length(current_user) - length(current_user)) END;
SELECT warden.leave('key $n');
COMMIT;
SQL
        push @scripts, $file;
    }
}

# ---- the pooler ------------------------------------------------------------

my $port = PostgreSQL::Test::Cluster::get_free_port();
my ($host, $server_port) = ($node->host, $node->port);
append_to_file("$directory/users", qq{"gateway" ""\n});
append_to_file("$directory/ini", <<"INI");
[databases]
postgres = host=$host port=$server_port
[pgbouncer]
listen_addr =
listen_port = $port
unix_socket_dir = $directory
auth_type = trust
auth_file = $directory/users
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
logfile = $directory/log
pidfile = $directory/pid
INI
my $pooler = IPC::Run::start([ $pgbouncer, '-q', "$directory/ini" ],
    '<', '/dev/null', '>', "$directory/out", '2>&1');
for (1 .. 50)
{
    last if -e "$directory/pid";
    select undef, undef, undef, 0.1;
}

my @connection = ('-h', $directory, '-p', $port, '-U', 'gateway');
my ($out, $err) = ('', '');
IPC::Run::run(
    [   'pgbench', '-n', '-M', 'extended', '-c', '50', '-j', '2', '-t', '20',
        @connection, (map { ('-f', $_) } @scripts), 'postgres' ],
    '<', '/dev/null', '>', \$out, '2>', \$err, IPC::Run::timeout(120));
like($out, qr{actually processed: 1000/1000}, 'every call was made');
unlike($err, qr/ERROR|abort/i, 'and saw itself alone')
  || diag(substr $err, 0, 2000);

# ---- nothing is left on the server's connections ---------------------------

my %left;
for (1 .. 20)
{
    my $state = '';

    IPC::Run::run(
        [   'psql', '-XAtq', @connection, '-d', 'postgres', '-c',
            'SHOW role', '-c', 'SHOW warden.agent', '-c', 'SHOW search_path',
            '-c', 'SHOW work_mem' ],
        '<', '/dev/null', '>', \$state, '2>&1');
    $left{$state}++;
}
is_deeply([ keys %left ], [ qq{none\n\n"\$user", public\n4MB\n} ],
    'connections are as they were');
is($node->safe_psql('postgres',
        "SELECT count(*) <= 4 FROM pg_stat_activity WHERE usename = 'gateway'"),
    't', 'there were four of them');
is($node->safe_psql('postgres', <<'SQL'), 't', 'the audit trail agrees');
SELECT count(*) = 1000 AND bool_and(db_role = 'agent_' || substr(agent, 5)
    AND request_id = substr(agent, 5) || '/' || substr(on_behalf_of, 8))
FROM warden.audit_log WHERE statement LIKE 'SELECT CASE%'
SQL

# ---- switching one off reaches through the pooler --------------------------

sub start_call
{
    my ($n, $sql) = @_;
    my %run = (out => '', err => '');
    my $token = $node->safe_psql('postgres',
        "SELECT warden.issue_token('bot $n')");
    my $file = "$directory/call-$n-" . length($sql) . '.sql';

    append_to_file($file, "\\set VERBOSITY verbose\nBEGIN;\n"
          . "SELECT warden.enter('$token', NULL, '{}', 'k');\n$sql\n"
          . "SELECT warden.leave('k');\nCOMMIT;\n");
    $run{handle} = IPC::Run::start(
        [ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', @connection, '-f', $file,
            'postgres' ],
        '<', '/dev/null', '>', \$run{out}, '2>', \$run{err},
        IPC::Run::timeout(120));
    return \%run;
}

my $stopped = start_call(1, 'SELECT pg_sleep(100);');
my $other = start_call(2, 'SELECT pg_sleep(3);');
my $next = start_call(1, "SELECT pg_sleep(0.01), 'next';\n" x 2000);
wait_for_sql($node,
    "SELECT count(*) = 2 FROM warden.acting_agents() WHERE agent = 'bot 1'");
$node->safe_psql('postgres', "SELECT warden.disable_agent('bot 1')");
$_->{handle}->finish for ($stopped, $other, $next);
like($stopped->{err}, qr/ERROR:  57014:/, 'a running call is cancelled');
like($next->{err}, qr/ERROR:  (57014|WD001):/,
    'one of many short statements ends, whether it runs one just then or not');
is($other->{err}, '', 'another agent\'s goes on');
$node->safe_psql('postgres', "SELECT warden.enable_agent('bot 1')");

$pooler->signal('INT');
$pooler->finish;
done_testing();
