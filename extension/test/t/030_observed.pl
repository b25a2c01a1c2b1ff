# An observed agent runs everything as before: on record, by whatever message
# of the protocol, and only as long as its agent is not switched off.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $node = warden_node('main');
warden_shop($node);
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE watched LOGIN;
SECURITY LABEL FOR warden ON ROLE watched IS 'agent, observe';
SELECT warden.create_agent('watched', 'watched');
SQL
my $lo_creat = $node->safe_psql('postgres',
    "SELECT 'lo_creat(integer)'::regprocedure::oid");
my $lo_unlink = $node->safe_psql('postgres',
    "SELECT 'lo_unlink(oid)'::regprocedure::oid");

# A function call message, with its arguments as text.
sub call
{
    my ($function, @values) = @_;

    return wire_message('F',
        pack('Nnn', $function, 0, scalar @values)
          . join('', map { pack('N/a', $_) } @values) . pack('n', 0));
}

sub records
{
    my ($count) = @_;

    return $node->safe_psql('postgres', <<"SQL");
SELECT warden.flush_audit();
SELECT command || ' ' || outcome || ' ' || coalesce(sqlstate, '-') || ' '
    || statement || coalesce(' ' || message, '')
FROM (SELECT * FROM warden.audit_log WHERE agent = 'watched'
    ORDER BY id DESC LIMIT $count) last ORDER BY id;
SQL
}

my $socket = wire_connect($node, 'watched');
my $seen = 'would have been refused: the fastpath protocol';

wire_answers($socket, call($lo_creat, 0x60000));
is(records(1),
    "\nFUNCTION CALL ok - function call: pg_catalog.lo_creat(integer) $seen",
    'the first that a session sends can be a function call');
wire_answers($socket, wire_query('BEGIN'));
wire_answers($socket, call($lo_creat, 0x60000));
is(join(',', wire_answers($socket, call($lo_unlink, 1))), '42704',
    'another one fails');
wire_answers($socket, wire_query('ROLLBACK'));
is(records(4), <<"END" =~ s/\n\z//r, 'in a transaction');

BEGIN ok - BEGIN
FUNCTION CALL ok - function call: pg_catalog.lo_creat(integer) $seen
FUNCTION CALL error 42704 function call: pg_catalog.lo_unlink(pg_catalog.oid) large object 1 does not exist
ROLLBACK ok - ROLLBACK
END

# ---- switched off -----------------------------------------------------------

my $idle = wire_connect($node, 'watched');
wire_answers($idle, wire_query('BEGIN'));
wire_answers($idle,
        wire_parse('', 'SELECT generate_series(1, 9)') . wire_bind('p', '')
      . wire_execute('p', 1) . wire_message('S', ''));
print $socket wire_query('SELECT pg_sleep(180)');
wait_for_sql($node,
    "SELECT count(*) = 1 FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'"
      . " AND wait_event = 'PgSleep'");
is( $node->safe_psql('postgres',
        'SELECT count(*) FROM warden.acting_agents()'),
    2, 'they are seen to act');
$node->safe_psql('postgres', "SELECT warden.disable_agent('watched')");
is(join(',', wire_answers($socket, '')), '57014', 'what runs ends');
is(join(',', wire_answers($socket, call($lo_creat, 0x60000))), 'WD001',
    'no more function calls');
is(join(',', wire_answers($socket, wire_query('SELECT 1'))), 'WD001',
    'nor statements');
is( join(',', wire_answers($idle,
            wire_execute('p', 1) . wire_message('S', ''))),
    'WD001', 'nor rows of a portal that waited');

done_testing();
