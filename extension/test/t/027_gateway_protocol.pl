# Messages of the protocol around enter and leave, which psql does not send:
# portals and statements that are bound on one side and executed on the other,
# and what one call on a connection sees of another's.

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
CREATE ROLE gateway LOGIN NOINHERIT IN ROLE warden_gateway, shop_writer;
SELECT warden.create_agent('other', 'support_agent');
SQL
my $token =
  $node->safe_psql('postgres', "SELECT warden.issue_token('support')");
my $other = $node->safe_psql('postgres', "SELECT warden.issue_token('other')");

sub query
{
    my ($sql, @values) = @_;

    return wire_parse('', $sql) . wire_bind('', '', @values) . wire_execute('');
}

sub enter
{
    return query('BEGIN')
      . query("SELECT warden.enter(\$1, NULL, '{}', 'k')", $_[0] // $token);
}

sub leave { return query("SELECT warden.leave('k')") }

my $socket = wire_connect($node, 'gateway');

sub converse
{
    return join(',', wire_answers($socket, join('', @_) . wire_message('S', '')));
}

sub around
{
    my ($messages, $expected, $name) = @_;
    my $seen = converse($messages) =~ s/\{[^}]*\}/told/gr;

    is($seen, $expected, $name);
    converse(query('ROLLBACK'));
    is(converse(query('SHOW role')), 'none', "$name: nobody afterwards");
    return;
}

my $ssn = 'SELECT ssn FROM customers ORDER BY id';

around(enter() . query("$ssn LIMIT 1") . leave() . query('COMMIT'),
    ',***-**-4801,told', 'one call in one pipeline');

# ---- on this side and on the other -----------------------------------------

around(enter() . wire_parse('', $ssn) . wire_bind('p', '') . wire_execute('p', 1)
      . leave() . wire_execute('p', 1),
    ',***-**-4801,told,WD001', 'a portal does not go on after leave');
for my $portal ('p', '')
{
    my $name = $portal eq '' ? 'the unnamed portal' : 'a named one';

    converse(wire_parse('leave', "SELECT warden.leave('k')"));
    around(enter() . wire_parse('it', $ssn) . wire_parse('', 'EXECUTE it')
          . wire_bind($portal, '') . wire_execute($portal, 1)
          . wire_bind('l', 'leave') . wire_execute('l')
          . wire_execute($portal, 1),
        ',***-**-4801,told,55000',
        "nor do rows that EXECUTE has computed, in $name");
    converse(wire_message('C', "S$_\0")) for ('it', 'leave');
}
around(query('BEGIN') . wire_parse('', 'SELECT 1') . wire_bind('p', '') . enter()
      . wire_execute('p'),
    ',WD001', 'nor one from before enter between the two');
for my $case (
    [ 'COMMIT', 'WD002' ], [ 'ROLLBACK', 'WD002' ],
    [ 'SAVEPOINT a', 'WD002' ], [ 'SET ROLE shop_writer', 'WD001' ],
    [ 'SET SESSION AUTHORIZATION DEFAULT', 'WD001' ],
    [ 'DISCARD ALL', 'WD002' ], [ 'LISTEN warden_changes', 'WD002' ])
{
    my ($sql, $state) = @$case;

    around(query('BEGIN') . wire_parse('early', $sql) . wire_bind('p', 'early')
          . query("SELECT warden.enter(\$1, NULL, '{}', 'k')", $token)
          . wire_execute('p'),
        ",$state", "$sql, bound before enter, is judged when it runs");
    converse(wire_message('C', "Searly\0"));
}
around(query("SELECT warden.enter(\$1, NULL, '{}', 'k')", $token), 'WD001',
    'the transaction of a pipeline is no block');
converse(enter());
is(join(',', wire_answers($socket,
            wire_message('F', pack('Nnnn', 1574, 0, 0, 0)))),
    'WD002', 'the fastpath protocol');
converse(query('ROLLBACK'));
around(enter() . query('SELECT 1/0') . leave() . query('COMMIT'), ',22012',
    'an error skips to the end');

# ---- what other calls have prepared ----------------------------------------

my $show = 'SELECT name, statement FROM pg_prepared_statements';

around(enter() . wire_parse('theirs', "SELECT 'private', ssn FROM customers")
      . wire_bind('p', 'theirs') . wire_execute('p', 1) . leave()
      . query('COMMIT'),
    ',private|***-**-4801,told', 'a statement with a name');
around(enter($other) . query($show) . leave(), ',told',
    'is not listed for the next call');
around(enter($other) . query('EXECUTE theirs'), ',WD002', 'nor executed by it');
around(enter($other) . query('EXPLAIN EXECUTE theirs'), ',WD002',
    'nor explained');
around(enter($other) . query('EXPLAIN CREATE TABLE copy AS EXECUTE theirs'),
    ',WD002', 'nor by way of a table that it would fill');
around(enter($other) . query("DO 'BEGIN EXECUTE ''EXECUTE theirs''; END'"),
    ',WD002', 'in a block as little');
around(enter($other) . query('SELECT pg_prepared_statement()'), ',WD002',
    'nor the function called where it can not be narrowed');
around(enter($other) . wire_parse('ours', 'SELECT 1') . query($show)
      . query('EXECUTE ours') . leave(),
    ',ours|SELECT 1,1,told', 'its own is');
is(converse(wire_bind('p', 'theirs') . wire_execute('p')), 'WD001',
    'it is no use without an identity');

# ---- what EXPLAIN EXECUTE would run, or follow for ever ---------------------

$node->safe_psql('postgres', 'GRANT CREATE ON SCHEMA public TO support_agent');
for my $case (
    [ 'CREATE TABLE planted AS SELECT 1', 1 ],
    [ 'SELECT 1 AS one INTO planted UNION SELECT 2', 1 ],
    [ 'CREATE MATERIALIZED VIEW planted AS SELECT 1', 1 ],
    [ 'DELETE FROM customers', 1 ],
    [ 'EXECUTE it', 0 ],
    [ 'CREATE TABLE planted AS EXECUTE it', 0 ],
    [ 'SHOW work_mem', 0 ])
{
    my ($sql, $has_plan) = @$case;

    around(enter() . wire_parse('it', $sql)
          . query('EXPLAIN ANALYZE EXECUTE it'),
        ',WD002', "EXPLAIN ANALYZE EXECUTE of $sql");
    converse(wire_message('C', "Sit\0"));
    next if $has_plan;
    for my $explain ('EXPLAIN', 'EXPLAIN CREATE TABLE planted AS')
    {
        around(enter() . wire_parse('it', $sql)
              . query("$explain EXECUTE it"),
            ',WD002', "$explain EXECUTE of $sql");
        converse(wire_message('C', "Sit\0"));
    }
}
is($node->safe_psql('postgres', "SELECT to_regclass('planted') IS NULL"), 't',
    'nothing was planted');
like(converse(enter() . wire_parse('it', 'CREATE TABLE planted AS SELECT 1')
          . query('EXPLAIN (COSTS OFF) EXECUTE it')
          . wire_parse('at', 'DECLARE c CURSOR FOR SELECT 1')
          . query('EXPLAIN (COSTS OFF) EXECUTE at') . leave()
          . query('COMMIT')),
    qr/^,Result,Result,/, 'a plan without ANALYZE is shown');

done_testing();
