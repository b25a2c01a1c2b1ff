# Rows that are computed before the protocol asks for them, and plans that are
# bound before it does: a change of role or policy in between reaches them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IO::Socket::UNIX;
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

sub message
{
    my ($type, $body) = @_;

    return $type . pack('N', length($body) + 4) . $body;
}

sub bind_portal
{
    my ($portal, $sql) = @_;

    return message('P', "\0$sql\0" . pack('n', 0))
      . message('B', "$portal\0\0" . pack('nnn', 0, 0, 0));
}

sub execute
{
    my ($portal, $rows) = @_;

    return message('E', "$portal\0" . pack('N', $rows));
}

# Sends messages; returns rows and SQLSTATEs of what comes back, until idle.
sub converse
{
    my ($socket, $messages) = @_;
    my @answer;

    print $socket $messages;
    while (1)
    {
        my ($head, $body) = ('', '');

        read($socket, $head, 5) == 5 or die 'the server went away';
        my ($type, $length) = unpack 'aN', $head;
        read($socket, $body, $length - 4) if $length > 4;
        push @answer, 'row ' . substr($body, 6) if $type eq 'D';
        push @answer, $1 if $type eq 'E' && $body =~ /\0C([0-9A-Z]{5})\0/;
        return join(', ', @answer) if $type eq 'Z';
    }
}

sub session
{
    my ($user) = @_;
    my $socket = IO::Socket::UNIX->new(
        Peer => $node->host . '/.s.PGSQL.' . $node->port)
      or die "no connection: $!";
    my $startup =
      pack('N', 196608) . "user\0$user\0database\0postgres\0\0";

    $socket->autoflush(1);
    converse($socket, pack('N', length($startup) + 4) . $startup);
    return $socket;
}

sub simple
{
    my ($socket, $sql) = @_;

    return converse($socket, message('Q', "$sql\0"));
}

my $sync = message('S', '');

# a person who becomes the agent
my $person = session('postgres');
simple($person, 'PREPARE q AS SELECT ssn FROM customers ORDER BY id');
for my $change ('SET LOCAL ROLE support_agent',
    q{SELECT set_config('role', 'support_agent', true)})
{
    for my $sql ('EXECUTE q', 'UPDATE customers SET id = id RETURNING ssn')
    {
        simple($person, 'BEGIN');
        like(converse($person, bind_portal('p', $sql) . execute('p', 1) . $sync),
            qr/^row \d{3}-\d{2}-\d{4}$/, "$sql: one row in clear");
        simple($person, $change);
        is(converse($person, execute('p', 1) . $sync),
            '55000', "the rest of them is gone after $change");
        simple($person, 'ROLLBACK');
    }
}
simple($person, 'BEGIN');
simple($person, 'DECLARE h CURSOR WITH HOLD FOR SELECT ssn FROM customers');
simple($person, 'COMMIT');
simple($person, 'SET ROLE support_agent');
is(converse($person, execute('h', 1) . $sync), '55000', 'so is a held cursor');
simple($person, 'RESET ROLE');

# an agent while policy changes
my $agent = session('support_agent');
simple($agent, 'BEGIN');
converse($agent, bind_portal('bound', 'SELECT s FROM late ORDER BY id') . $sync);
$node->safe_psql('postgres',
    q{SECURITY LABEL FOR warden ON COLUMN late.s IS 'ssn'});
is(converse($agent, execute('bound', 0) . $sync),
    'WD001', 'a portal that was bound before the label does not run');
simple($agent, 'ROLLBACK');
simple($agent, 'BEGIN');
is( converse($agent,
        bind_portal('cut', 'SELECT s FROM late ORDER BY id')
          . execute('cut', 1)
          . $sync),
    'row ***-**-4801',
    'the next one is masked');
$node->safe_psql('postgres',
    q{SELECT warden.set_mask('ssn', 'null', 'support_agent')});
is(converse($agent, execute('cut', 1) . $sync),
    'WD001', 'one that was suspended does not go on under another mask');
simple($agent, 'ROLLBACK');

# what nothing has changed for goes on
simple($agent, 'PREPARE k AS SELECT id FROM customers ORDER BY id');
simple($agent, 'BEGIN');
converse($agent, bind_portal('k', 'EXECUTE k') . execute('k', 1) . $sync);
simple($agent, 'SELECT count(*) FROM customers');
is(converse($agent, execute('k', 1) . $sync),
    'row 2', 'a suspended EXECUTE goes on after another statement');

close $person;
close $agent;
$node->stop;

done_testing();
