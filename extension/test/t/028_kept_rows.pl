# Rows that are computed before the protocol asks for them, and plans that are
# bound before it does: a change of role or policy in between reaches them.

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
CREATE TABLE late (id int, s text);
INSERT INTO late SELECT id, ssn FROM customers;
GRANT SELECT ON late TO support_agent;
SQL

# Parsed and bound, not executed yet.
sub bound
{
    my ($portal, $sql) = @_;

    return wire_parse('', $sql) . wire_bind($portal, '');
}

sub converse { return join(', ', wire_answers(@_)) }

sub simple
{
    my ($socket, $sql) = @_;

    return converse($socket, wire_query($sql));
}

my $sync = wire_message('S', '');

# a person who becomes the agent
my $person = wire_connect($node, 'postgres');
simple($person, 'PREPARE q AS SELECT ssn FROM customers ORDER BY id');
for my $change ('SET LOCAL ROLE support_agent',
    q{SELECT set_config('role', 'support_agent', true)})
{
    for my $sql ('EXECUTE q', 'UPDATE customers SET id = id RETURNING ssn')
    {
        simple($person, 'BEGIN');
        like(converse($person, bound('p', $sql) . wire_execute('p', 1) . $sync),
            qr/^\d{3}-\d{2}-\d{4}$/, "$sql: one row in clear");
        simple($person, $change);
        is(converse($person, wire_execute('p', 1) . $sync),
            '55000', "the rest of them is gone after $change");
        simple($person, 'ROLLBACK');
    }
}
simple($person, 'BEGIN');
simple($person, 'DECLARE h CURSOR WITH HOLD FOR SELECT ssn FROM customers');
simple($person, 'COMMIT');
simple($person, 'SET ROLE support_agent');
is(converse($person, wire_execute('h', 1) . $sync), '55000', 'so is a held cursor');
simple($person, 'RESET ROLE');

# an agent while policy changes
my $agent = wire_connect($node, 'support_agent');
simple($agent, 'BEGIN');
converse($agent, bound('bound', 'SELECT s FROM late ORDER BY id') . $sync);
$node->safe_psql('postgres',
    q{SECURITY LABEL FOR warden ON COLUMN late.s IS 'ssn'});
is(converse($agent, wire_execute('bound', 0) . $sync),
    'WD001', 'a portal that was bound before the label does not run');
simple($agent, 'ROLLBACK');
simple($agent, 'BEGIN');
is( converse($agent,
        bound('cut', 'SELECT s FROM late ORDER BY id')
          . wire_execute('cut', 1)
          . $sync),
    '***-**-4801',
    'the next one is masked');
$node->safe_psql('postgres',
    q{SELECT warden.set_mask('ssn', 'null', 'support_agent')});
is(converse($agent, wire_execute('cut', 1) . $sync),
    'WD001', 'one that was suspended does not go on under another mask');
simple($agent, 'ROLLBACK');

# what nothing has changed for goes on
simple($agent, 'PREPARE k AS SELECT id FROM customers ORDER BY id');
simple($agent, 'BEGIN');
converse($agent, bound('k', 'EXECUTE k') . wire_execute('k', 1) . $sync);
simple($agent, 'SELECT count(*) FROM customers');
is(converse($agent, wire_execute('k', 1) . $sync),
    '2', 'a suspended EXECUTE goes on after another statement');

close $person;
close $agent;
$node->stop;

done_testing();
