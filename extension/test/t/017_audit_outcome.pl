# One outcome for each statement, and it is what the client was told: also of
# one that fails when it has run, of one whose neighbours in the message or
# between two Syncs fail, and of one that is cancelled too late or too early.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $node = warden_node('main');

warden_shop($node);
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE hold (i int);
GRANT SELECT ON hold TO support_agent;
CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM i FROM hold;
    RETURN NULL;
END $$;
SELECT warden.allow_function('late()');
-- what is checked when the transaction of a diverted write commits
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON warden.pending_changes
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late();
CREATE PROCEDURE in_parts() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count(*) FROM customers; COMMIT;
    PERFORM count(*) FROM hold; ROLLBACK;
    PERFORM count(*) FROM customers;
END $$;
GRANT EXECUTE ON PROCEDURE in_parts() TO support_agent;
SQL

# Rows of the trail since the last time, "outcome sqlstate rows".
my $seen = 0;

sub recorded
{
    my ($columns) = @_;

    $node->safe_psql('postgres', 'SELECT warden.flush_audit()');
    my $rows = $node->safe_psql('postgres', <<"SQL");
SELECT string_agg(concat_ws(' ', $columns), ', ' ORDER BY id)
  FROM warden.audit_log WHERE id > $seen AND kind <> 'action'
   AND agent = 'support'
SQL
    $seen = $node->safe_psql('postgres',
        'SELECT max(id) FROM warden.audit_events');
    return $rows;
}

my $short = "substring(statement, 1, 12), '=', outcome, sqlstate";
my $update = q{UPDATE customers SET name = 'x' WHERE id = 1};

#
# Cancelled while it commits
#
my $locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE hold');
my ($out, $err) = ('', '');
my $agent = IPC::Run::start(
    [
        $node->installed_command('psql'), '-XAt', '-v', 'VERBOSITY=verbose',
        '-d', $node->connstr('postgres') . ' user=support_agent',
        '-c', $update
    ],
    '>' => \$out,
    '2>' => \$err);
my $waits = q{FROM pg_stat_activity WHERE usename = 'support_agent'
                AND wait_event_type = 'Lock'};
wait_for_sql($node, "SELECT count(*) = 1 $waits");
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) $waits");
$agent->finish;
$locker->query_safe('COMMIT');
$locker->quit;
like($err, qr/ERROR:  57014:/, 'cancelled while it commits');
is(recorded($short), 'UPDATE custo = error 57014',
    'and that is its outcome, the only one');
is( $node->safe_psql('postgres', 'SELECT count(*) FROM warden.pending_changes'),
    '0', 'there is no change');

#
# A message of several statements
#
$node->psql('postgres', "SELECT 'one' \\; SELECT 1 / (id - 1), 'two' FROM customers \\; SELECT 'three'",
    extra_params => [ '-U', 'support_agent' ]);
is(recorded($short),
    "SELECT 'one' = ok, SELECT 1 / ( = error 22012",
    'the statement before the one that fails has run');
$node->psql('postgres', "SELECT 'one' \\; SELECT nothing",
    extra_params => [ '-U', 'support_agent' ]);
is(recorded($short), "SELECT 'one' = ok, SELECT 'one' = error 42703",
    'also when that fails before it is planned');
$node->safe_psql('postgres', <<'SQL');
CREATE OR REPLACE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM i / (NEW.statement_count - 1) FROM hold; RETURN NULL; END';
INSERT INTO hold VALUES (1);
SQL
$node->psql('postgres', "SELECT 'one' \\; $update /* and /* nothing */ */ ; -- more",
    extra_params => [ '-U', 'support_agent' ]);
is(recorded($short), "SELECT 'one' = ok, UPDATE custo = error 22012",
    'the last one fails with the commit');
$node->psql('postgres', "BEGIN; $update; SELECT 'one'; COMMIT",
    extra_params => [ '-U', 'support_agent' ]);
is(recorded($short),
    "BEGIN = ok, UPDATE custo = diverted, SELECT 'one' = ok, COMMIT = error 22012",
    'in a block the commit does');

#
# Messages of the extended protocol
#
my $wire = wire_connect($node, 'support_agent');
my $sync = wire_message('S', '');

is((wire_converse($wire, wire_statement('', $update) . $sync))[1],
    '22012', 'a Sync that fails to commit');
is(recorded("$short, relations"),
    'UPDATE custo = error 22012 {public.customers,public.hold}',
    'is the end of its statement, and reads for it');
is( (wire_converse($wire,
            wire_statement('', "SELECT 'one'") . wire_statement('', 'selec')
              . $sync))[1],
    '42601', 'a Parse that fails');
is(recorded($short), "SELECT 'one' = ok, selec = error 42601",
    'is not that of the statement before');
wire_converse($wire, wire_statement('', 'BEGIN') . $sync);
wire_converse($wire, wire_statement('p', 'SELECT id FROM customers', 1) . $sync);
wire_converse($wire, wire_statement('', 'SELECT nothing') . $sync);
wire_converse($wire, wire_statement('', 'ROLLBACK') . $sync);
is(recorded("$short, rows"),
    'BEGIN = ok 0, SELECT id FR = ok 1, SELECT nothi = error 42703, ROLLBACK = ok',
    'nor of a portal that waits');
wire_converse($wire, wire_statement('', 'BEGIN') . $sync);
wire_converse($wire, wire_statement('', $update) . $sync);
is(recorded($short), 'BEGIN = ok, UPDATE custo = diverted',
    'in a block a statement is over when it has run');
wire_converse($wire, wire_statement('', 'ROLLBACK') . $sync);
is(recorded($short), 'ROLLBACK = ok', 'whatever becomes of the block');

#
# statement_timeout that comes when the statement is over: nothing waits
# before that, or it would come there
#
$node->append_conf('postgresql.conf', 'warden.audit = async');
$node->reload;
($out, $err) = (warden_psql($node, 'support_agent', <<'SQL', on_error_stop => 0))[ 1, 2 ];
BEGIN;
DECLARE c CURSOR FOR SELECT length(lpad(name, 90000000, 'ab')) FROM customers;
SET statement_timeout = '100ms';
FETCH 1 FROM c;
SELECT 'after it';
COMMIT;
SQL
is("$out$err", "90000000\nafter it", 'a late timeout ends nothing');
is(recorded("$short, rows"),
    "BEGIN = ok 0, DECLARE c CU = ok 0, SET statemen = ok 0, "
      . "FETCH 1 FROM = ok 1, SELECT 'afte = ok 1, COMMIT = ok 0",
    'and takes no record along');

#
# A procedure that commits, and rolls back, on its way
#
warden_psql($node, 'support_agent', 'CALL in_parts()');
is(recorded("$short, relations"),
    'CALL in_part = ok {public.customers,public.hold}',
    'a CALL ends when all of it has run');

#
# Rows that were sent before an error
#
warden_psql($node, 'support_agent',
    'SELECT 1 / (3 - i) FROM generate_series(1, 4) i');
is(recorded("$short, rows"), 'SELECT 1 / ( = error 22012 2', 'count');
warden_psql($node, 'support_agent',
    'COPY (SELECT 1 / (3 - i) FROM generate_series(1, 4) i) TO STDOUT');
is(recorded("$short, rows"), 'COPY (SELECT = error 22012 2', 'of a COPY, too');

#
# Whatever the log is to leave out, and whoever a person has become
#
$node->append_conf('postgresql.conf', 'log_min_messages = fatal');
$node->reload;
is($node->safe_psql('postgres', 'SHOW log_min_messages'),
    'error', 'errors stay in sight');
warden_psql($node, 'support_agent', 'SELECT nothing');
is(recorded($short), 'SELECT nothi = error 42703', 'and in the trail');
$node->psql('postgres',
    "SET ROLE support_agent;\nselec 1;\nRESET ROLE;\nselec 2;",
    on_error_stop => 0);
is(recorded($short), 'selec 1; = error 42601, RESET ROLE = ok',
    'a person is an agent from the first statement on');

is($node->safe_psql('postgres', 'SELECT * FROM warden.verify_audit()'),
    '', 'the chain is whole');
is( $node->safe_psql('postgres',
        q{SELECT count(*) FROM warden.audit_log
           WHERE outcome IN ('running', 'unknown')}),
    '0', 'nothing is open');

$node->stop;
done_testing();
