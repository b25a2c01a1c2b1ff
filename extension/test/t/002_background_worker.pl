# A background worker of another library acts as an agent's role: it is that
# agent, whatever started it.  pg_cron is one that people have.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my ($libdir) = run_command([ 'pg_config', '--pkglibdir' ]);
plan skip_all => 'pg_cron is not installed' if !-e "$libdir/pg_cron.so";

my $node = warden_node(
    'main',
    after => ['pg_cron'],
    conf => "cron.use_background_workers = on\n"
      . "cron.database_name = 'postgres'\nmax_worker_processes = 20\n");
warden_shop($node);
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION pg_cron;
CREATE TABLE seen (by text, what text);
GRANT SELECT, INSERT ON seen TO support_agent, shop_writer;
GRANT SELECT ON customers TO shop_writer;
ALTER ROLE shop_writer LOGIN;
CREATE ROLE other_writer;
GRANT INSERT ON seen TO other_writer;
GRANT SELECT ON customers TO other_writer;
GRANT other_writer TO support_agent;
SQL

# ---- what it does every minute ---------------------------------------------

my %jobs = (
    read => [ 'support_agent', 'SELECT ssn FROM customers WHERE id = 1' ],
    write => [ 'support_agent',
        'INSERT INTO seen SELECT current_user, ssn FROM customers' ],
    role => [ 'support_agent',
        'SET ROLE other_writer; INSERT INTO seen SELECT 1, ssn FROM customers' ],
    block => [ 'support_agent',
        'DO $$ BEGIN PERFORM set_config(\'role\', \'other_writer\', true); '
          . 'INSERT INTO seen SELECT 2, ssn FROM customers; END $$' ],
    person => [ 'shop_writer', "INSERT INTO seen VALUES (current_user, 'a')" ]);
my %ids;

for my $name (sort keys %jobs)
{
    my ($role, $command) = @{ $jobs{$name} };

    $ids{$name} = $node->safe_psql('postgres',
        "INSERT INTO cron.job (schedule, command, nodename, nodeport, database,"
          . " username) VALUES ('* * * * *', \$job\$$command\$job\$,"
          . " 'localhost', 0, 'postgres', '$role') RETURNING jobid");
}

sub run_of
{
    my ($name) = @_;

    return $node->safe_psql('postgres',
        'SELECT status, return_message FROM cron.job_run_details'
          . " WHERE jobid = $ids{$name} ORDER BY runid LIMIT 1");
}

sub pattern_of
{
    my ($name) = @_;

    return $jobs{$name}[1] =~ s/;.*//r =~ s/'/''/gr;
}

ok(wait_for_sql($node, 'SELECT count(DISTINCT jobid) = 5 FROM'
          . " cron.job_run_details WHERE status IN ('succeeded', 'failed')"),
    'every job has run');
$node->safe_psql('postgres', 'DELETE FROM cron.job');

# ---- what came of it -------------------------------------------------------

is($node->safe_psql('postgres', 'SELECT DISTINCT * FROM seen'),
    'shop_writer|a', 'nothing but the person\'s job has written');
is(run_of('write'), 'succeeded|INSERT 0 0', 'an agent\'s write is diverted');
is($node->safe_psql('postgres',
        'SELECT DISTINCT agent, agent_role, status FROM warden.pending_changes'),
    'support|support_agent|proposed', 'into a change of the agent\'s');
like(run_of('role'), qr/^failed\|ERROR: a governed session can not change/,
    'it can not change its role');
like(run_of('block'), qr/^failed\|ERROR: function set_config is not permitted/,
    'nor in a block');
$node->safe_psql('postgres', 'SELECT warden.flush_audit()');
is($node->safe_psql('postgres',
        'SELECT DISTINCT agent, login_role, outcome, masked_columns'
          . ' FROM warden.audit_log WHERE statement = '
          . "'" . pattern_of('read') . "'"),
    'support|support_agent|ok|{public.customers.ssn=ssn}',
    'its reads are masked, and recorded');

done_testing();
