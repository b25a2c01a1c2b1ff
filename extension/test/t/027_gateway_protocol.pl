# Messages of the protocol around enter and leave, which psql does not send:
# portals and statements that are bound on one side and executed on the other,
# and what one call on a connection sees of another's.

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
CREATE ROLE gateway LOGIN NOINHERIT IN ROLE warden_gateway, shop_writer;
SELECT warden.create_agent('other', 'support_agent');
SQL
my $token =
  $node->safe_psql('postgres', "SELECT warden.issue_token('support')");
my $other = $node->safe_psql('postgres', "SELECT warden.issue_token('other')");

sub message
{
    my ($type, $body) = @_;

    return $type . pack('N', length($body) + 4) . $body;
}

sub parse { return message('P', "$_[0]\0$_[1]\0" . pack('n', 0)) }

sub bind_portal
{
    my ($portal, $statement, @values) = @_;

    return message('B', "$portal\0$statement\0" . pack('nn', 0, scalar @values)
          . join('', map { pack('N', length) . $_ } @values) . pack('n', 0));
}

sub execute { return message('E', "$_[0]\0" . pack('N', $_[1] // 0)) }

sub query
{
    my ($sql, @values) = @_;

    return parse('', $sql) . bind_portal('', '', @values) . execute('');
}

sub enter
{
    return query('BEGIN')
      . query("SELECT warden.enter(\$1, NULL, '{}', 'k')", $_[0] // $token);
}

sub leave { return query("SELECT warden.leave('k')") }

my $socket = IO::Socket::UNIX->new(
    Peer => $node->host . '/.s.PGSQL.' . $node->port)
  or die "no connection: $!";

# All rows, and the SQLSTATE of an error, until the server is idle.
sub answers
{
    my @answers;

    while (1)
    {
        my ($head, $body) = ('', '');

        read($socket, $head, 5) == 5 or die 'the server went away';
        my ($type, $length) = unpack 'aN', $head;
        read($socket, $body, $length - 4) if $length > 4;
        return join(',', @answers) if $type eq 'Z';
        push @answers, $body =~ /\0C(.....)\0/ if $type eq 'E';
        next if $type ne 'D';
        my ($columns, $at) = (unpack('n', $body), 2);
        my @row;

        while ($columns-- > 0)
        {
            my $size = unpack 'N', substr($body, $at);

            push @row, substr($body, $at + 4, $size);
            $at += 4 + $size;
        }
        push @answers, join('|', @row);
    }
}

sub converse
{
    my $messages = join '', @_;

    print $socket $messages . message('S', '');
    return answers();
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

my $startup = pack('N', 196608) . "user\0gateway\0database\0postgres\0\0";
print $socket pack('N', length($startup) + 4) . $startup;
answers();

my $ssn = 'SELECT ssn FROM customers ORDER BY id';

around(enter() . query("$ssn LIMIT 1") . leave() . query('COMMIT'),
    ',***-**-4801,told', 'one call in one pipeline');

# ---- on this side and on the other -----------------------------------------

around(enter() . parse('', $ssn) . bind_portal('p', '') . execute('p', 1)
      . leave() . execute('p', 1),
    ',***-**-4801,told,WD001', 'a portal does not go on after leave');
around(query('BEGIN') . parse('', 'SELECT 1') . bind_portal('p', '') . enter()
      . execute('p'),
    ',WD001', 'nor one from before enter between the two');
for my $case (
    [ 'COMMIT', 'WD002' ], [ 'ROLLBACK', 'WD002' ],
    [ 'SAVEPOINT a', 'WD002' ], [ 'SET ROLE shop_writer', 'WD001' ],
    [ 'SET SESSION AUTHORIZATION DEFAULT', 'WD001' ],
    [ 'DISCARD ALL', 'WD002' ], [ 'LISTEN warden_changes', 'WD002' ])
{
    my ($sql, $state) = @$case;

    around(query('BEGIN') . parse('early', $sql) . bind_portal('p', 'early')
          . query("SELECT warden.enter(\$1, NULL, '{}', 'k')", $token)
          . execute('p'),
        ",$state", "$sql, bound before enter, is judged when it runs");
    converse(message('C', "Searly\0"));
}
around(query("SELECT warden.enter(\$1, NULL, '{}', 'k')", $token), 'WD001',
    'the transaction of a pipeline is no block');
converse(enter());
print $socket message('F', pack('Nnnn', 1574, 0, 0, 0));
is(answers(), 'WD002', 'the fastpath protocol');
converse(query('ROLLBACK'));
around(enter() . query('SELECT 1/0') . leave() . query('COMMIT'), ',22012',
    'an error skips to the end');

# ---- what other calls have prepared ----------------------------------------

my $show = 'SELECT name, statement FROM pg_prepared_statements';

around(enter() . parse('theirs', "SELECT 'private', ssn FROM customers")
      . bind_portal('p', 'theirs') . execute('p', 1) . leave()
      . query('COMMIT'),
    ',private|***-**-4801,told', 'a statement with a name');
around(enter($other) . query($show) . leave(), ',told',
    'is not listed for the next call');
around(enter($other) . query('EXECUTE theirs'), ',WD002', 'nor executed by it');
around(enter($other) . query('EXPLAIN EXECUTE theirs'), ',WD002',
    'nor explained');
around(enter($other) . query("DO 'BEGIN EXECUTE ''EXECUTE theirs''; END'"),
    ',WD002', 'in a block as little');
around(enter($other) . query('SELECT pg_prepared_statement()'), ',WD002',
    'nor the function called where it can not be narrowed');
around(enter($other) . parse('ours', 'SELECT 1') . query($show)
      . query('EXECUTE ours') . leave(),
    ',ours|SELECT 1,1,told', 'its own is');
is(converse(bind_portal('p', 'theirs') . execute('p')), 'WD001',
    'it is no use without an identity');

done_testing();
