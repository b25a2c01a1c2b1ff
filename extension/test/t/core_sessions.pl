# How a session of an agent begins, and what the protocol adds to SQL: start-up
# options, other databases, fastpath, COPY from the client, pipelines in which
# a portal is suspended.

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
$node->safe_psql('postgres', 'CREATE DATABASE elsewhere');

#
# must fail
#
warden_fails($node, 'support_agent', 'SELECT 1', 'WD001',
    'a database without the extension', dbname => 'elsewhere');
foreach my $option ('-c work_mem=1GB', '-c role=shop_writer',
    '-c warden.agent=x', '-c client_min_messages=debug1',
    '-c debug_print_plan=on', '-c statement_timeout=0')
{
    local $ENV{PGOPTIONS} = $option;
    my ($code, $out, $err) =
      warden_psql($node, 'support_agent', 'SELECT ssn FROM customers');
    isnt($code, 0, "start-up option $option");
    unlike("$out$err", qr/078-05/, "start-up option $option shows nothing");
}
warden_fails($node, 'support_agent', "COPY customers FROM STDIN;\n\\.\n",
    'WD002', 'COPY FROM STDIN');

# A client of our own, since neither libpq nor psql suspends portals.
sub message { my ($type, $body) = @_; return $type . pack('N', 4 + length $body) . $body }

sub talk
{
    my ($role, @messages) = @_;
    my $socket = IO::Socket::UNIX->new($node->host . '/.s.PGSQL.' . $node->port)
      or die "no connection: $!";
    my $start = pack('N', 196608) . "user\0$role\0database\0postgres\0\0";
    my ($buffer, $ready, $wanted, $seen) = ('', 0, 2, '');

    $socket->send(pack('N', 4 + length $start) . $start);
    while ($ready < $wanted)
    {
        while (length $buffer >= 5
            && length $buffer > unpack('N', substr $buffer, 1))
        {
            my $size = unpack('N', substr $buffer, 1);
            my $type = substr $buffer, 0, 1;
            my $body = substr $buffer, 5, $size - 4;

            substr($buffer, 0, $size + 1) = '';
            $seen .= "$type:$body\n" if $ready;
            next unless $type eq 'Z';
            $socket->send(join '', @messages) if ++$ready == 1;
        }
        last if $ready >= $wanted;
        my $read = $socket->sysread(my $chunk, 8192);
        last unless $read;
        $buffer .= $chunk;
    }
    return $seen;
}

sub parse { return message('P', "$_[0]\0$_[1]\0" . pack('n', 0)) }
sub bind_portal
{
    my ($portal, $name, $format) = @_;
    return message('B', "$portal\0$name\0" . pack('n n n n', 0, 0, 1, $format));
}
sub execute { return message('E', "$_[0]\0" . pack('N', $_[1])) }
my $sync = message('S', '');
my $read = 'SELECT ssn FROM customers ORDER BY id';

my $upper = $node->safe_psql('postgres', q{SELECT 'upper(text)'::regprocedure::oid});
my $seen = talk('support_agent',
    message('F', pack('N n n n N', $upper, 1, 0, 1, 1) . 'x' . pack('n', 0)));
like($seen, qr/CWD002/, 'the fastpath protocol is refused');

# A gateway that has not badged in does not even learn the columns of a table.
$node->safe_psql('postgres',
    'CREATE ROLE gateway LOGIN NOINHERIT IN ROLE warden_gateway');
$seen = talk('gateway', parse('s', $read), message('D', "Ss\0"), $sync);
like($seen, qr/CWD001/, 'a gateway parses nothing before it has badged in');
unlike($seen, qr/^T:/m, 'and has nothing described');
my $domain = $node->safe_psql('postgres', <<'SQL');
CREATE DOMAIN checked AS text CHECK (VALUE ~ 'good');
SELECT 'checked'::regtype::oid
SQL
$seen = talk('gateway', message('P', "\0SELECT \$1\0" . pack('n N', 1, $domain)),
    message('B', "\0\0" . pack('n n N', 0, 1, 3) . 'bad' . pack('n', 0)),
    execute('', 0), $sync);
like($seen, qr/CWD001/, 'nor may it bind values of types that run code');
unlike($seen, qr/C23514/, 'whose code does not run');
$seen = talk('gateway',
    message('F', pack('N n n n N', $upper, 1, 0, 1, 1) . 'x' . pack('n', 0)));
like($seen, qr/CWD001|CWD002/, 'nor is it given the fastpath');

# What a call opens does not outlive it, nor what was bound before it get past
# it: portals that are suspended, or made while the gateway was free.
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE second_agent;
GRANT SELECT ON customers TO second_agent;
SELECT warden.create_agent('second', 'second_agent');
SQL
my ($first, $second) = map {
    $node->safe_psql('postgres', "SELECT warden.issue_token('$_')")
} qw(support second);

sub run { return (parse('', $_[0]), bind_portal('', '', 0), execute('', 0)) }
sub badge
{
    my ($token) = @_;
    return run("SELECT warden.enter('$token', NULL, '{}', 'k')");
}
my @leave = run("SELECT warden.leave('k')");
my @open = (run('BEGIN'), badge($first), parse('s', $read),
    bind_portal('p', 's', 0), execute('p', 1));

$seen = talk('gateway', badge($first), run($read), $sync);
like($seen, qr/CWD001\0Mwarden.enter needs a transaction block/,
    'a pipeline is no transaction block');
$seen = talk('gateway', @open, @leave, execute('p', 0), $sync);
is(() = $seen =~ /\*{3}-\*{2}-/g, 1, 'a portal gives its row');
like($seen, qr/CWD001\0Mthis statement or cursor/, 'and none after the call');
$seen = talk('gateway', @open, @leave, badge($second), execute('p', 0), $sync);
is(() = $seen =~ /\*{3}-\*{2}-/g, 1, 'nor in that of another agent');
like($seen, qr/CWD001\0Mthis statement or cursor/, 'which is refused it');
$seen = talk('gateway', @open, @leave, run('COMMIT'),
    bind_portal('', 's', 0), execute('', 0), $sync);
like($seen, qr/CWD001\0Mthis gateway has not/,
    'what an agent has prepared is of no use to the gateway');
foreach my $statement ('COMMIT', 'ROLLBACK', 'SAVEPOINT a', 'DISCARD ALL',
    'LISTEN warden_changes', 'PREPARE TRANSACTION \'x\'')
{
    $seen = talk('gateway', run('BEGIN'), parse('early', $statement),
        bind_portal('early', 'early', 0), badge($first), execute('early', 0),
        run('SELECT current_user'), $sync);
    like($seen, qr/CWD00[12]/, "$statement, bound before the call");
    unlike($seen, qr/D:.*gateway/, 'does not end it');
}
$seen = talk('gateway', run('BEGIN'), parse('e', "SELECT warden.enter("
          . "'$first', NULL, '{}', 'k')"), bind_portal('e', 'e', 0),
    execute('e', 1), @leave, execute('e', 1), run('SELECT current_user'), $sync);
like($seen, qr/CWD001\0Mthis gateway has not/, 'to go on with enter is not to enter');

#
# must work
#
$seen = talk('support_agent', parse('s', $read), bind_portal('p', 's', 0),
    execute('p', 1), execute('p', 1), execute('p', 0), $sync);
is(() = $seen =~ /^s:/mg, 2, 'a portal is suspended twice');
is(() = $seen =~ /\*{3}-\*{2}-(4801|2210)/g, 2, 'and gives masks each time');
unlike($seen, qr/078-05|219-09/, 'and nothing else');
$seen = talk('support_agent', parse('s', $read), bind_portal('p', 's', 1),
    execute('p', 0), $sync);
like($seen, qr/\*{3}-\*{2}-4801/, 'binary results are masked');
unlike($seen, qr/078-05/, 'and not raw');
$seen = talk('support_agent',
    parse('', 'UPDATE customers SET name = ssn RETURNING ssn'),
    bind_portal('', '', 0), execute('', 1),
    parse('', $read), bind_portal('', '', 0), execute('', 0), $sync);
like($seen, qr/C01WD1/, 'a write in a pipeline is diverted');
like($seen, qr/\*{3}-\*{2}-4801/, 'and the read after it runs');
unlike($seen, qr/078-05/, 'masked');
{
    local $ENV{PGOPTIONS} = '-c DateStyle=German -c search_path=public';
    warden_ok($node, 'support_agent', 'SHOW DateStyle', qr/German/,
        'start-up options on the list');
}
is($node->safe_psql('postgres', 'SELECT name FROM customers WHERE id = 1'),
    'Alice', 'nothing was written');

$node->stop;
done_testing();
