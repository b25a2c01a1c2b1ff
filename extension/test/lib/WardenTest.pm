
=head1 NAME

WardenTest - servers with pg_warden, for TAP tests

=head1 SYNOPSIS

    use lib 'extension/test/lib';
    use WardenTest;

    my $node = warden_node('main', conf => "warden.audit = 'async'");
    warden_psql($node, 'some_role', 'SELECT 1');

Run by C<make check-tap>, which builds and stages the extension first and sets
the environment. One file: C<make check-tap PROVE_TESTS=extension/test/t/x.pl>.

=cut

package WardenTest;

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::UNIX;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes 'usleep';

our @EXPORT = qw(
  plain_node
  warden_node
  warden_psql
  warden_ok
  warden_fails
  warden_shop
  wait_for_sql
  wait_for_server
  wire_answers
  wire_bind
  wire_connect
  wire_converse
  wire_execute
  wire_message
  wire_parse
  wire_query
  wire_statement
);

# Settings that make the staged extension visible, one per line, without the
# one that preloads it.
sub stage_settings
{
    my $conf = $ENV{WARDEN_STAGE_CONF}
      or die 'WARDEN_STAGE_CONF is not set: run this with "make check-tap"';
    my $text = PostgreSQL::Test::Utils::slurp_file($conf);

    $text =~ s/^shared_preload_libraries.*\n//m;
    return $text;
}

=head1 FUNCTIONS

=over

=item plain_node(name, conf => text, init => {...})

A running server that can find the extension but does not preload it.

=cut

sub plain_node
{
    my ($name, %options) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);

    $node->init(%{ $options{init} || {} });
    $node->append_conf('postgresql.conf', stage_settings());
    if (defined $options{preload})
    {
        $node->append_conf('postgresql.conf',
            "shared_preload_libraries = '$options{preload}'");
    }
    $node->append_conf('postgresql.conf', $options{conf})
      if defined $options{conf};
    $node->start unless $options{stopped};
    return $node;
}

=item warden_node(name, conf => text, before => [...], after => [...], ...)

A running server that preloads pg_warden, between the libraries C<before> and
C<after> it, and has the extension in database postgres. With
C<< extension => 0 >> it has not; with C<< stopped => 1 >> it does not run yet
(and so has no extension either).

=cut

sub warden_node
{
    my ($name, %options) = @_;
    my @libraries = (
        @{ $options{before} || [] },
        'pg_warden', @{ $options{after} || [] });
    my $node = plain_node(
        $name,
        %options,
        preload => join(', ', @libraries));

    if (!$options{stopped} && ($options{extension} // 1))
    {
        $node->safe_psql('postgres', 'CREATE EXTENSION pg_warden');
    }
    return $node;
}

=item warden_psql(node, role, sql, dbname => name, verbose => 0)

Runs the SQL in one psql session that logs in as the role. Returns exit code,
output and error output. Errors show their SQLSTATE, as verbose psql does.

=cut

sub warden_psql
{
    my ($node, $role, $sql, %options) = @_;
    my ($out, $err) = ('', '');
    my $code = $node->psql(
        $options{dbname} // 'postgres',
        "\\set VERBOSITY verbose\n$sql",
        stdout => \$out,
        stderr => \$err,
        on_error_stop => $options{on_error_stop} // 1,
        extra_params => [ '-U', $role ]);

    return ($code, $out, $err);
}

=item warden_ok(node, role, sql, expected, name)

One test: the SQL succeeds and prints this (a string, or a pattern).

=cut

sub warden_ok
{
    my ($node, $role, $sql, $expected, $name, %options) = @_;
    my ($code, $out, $err) = warden_psql($node, $role, $sql, %options);
    my $matches =
      ref $expected ? $out =~ $expected : $out eq $expected;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($code == 0 && $matches, $name)
      || diag("exit code $code\noutput: $out\nexpected: $expected\n"
          . "errors: $err");
}

=item warden_fails(node, role, sql, sqlstate, name)

One test: the SQL fails with this SQLSTATE.

=cut

sub warden_fails
{
    my ($node, $role, $sql, $sqlstate, $name, %options) = @_;
    my ($code, $out, $err) = warden_psql($node, $role, $sql, %options);

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($code != 0 && $err =~ /ERROR:  \Q$sqlstate\E:/, $name)
      || diag("exit code $code, wanted SQLSTATE $sqlstate\n"
          . "output: $out\nerrors: $err");
}

=item warden_shop(node)

A table of customers with labelled columns, a role support_agent of class agent
that may read and write it and belongs to agent "support", and a reviewer
shop_reviewer, the person "rita", who may apply as shop_writer.

=cut

sub warden_shop
{
    my ($node, %options) = @_;

    $node->safe_psql($options{dbname} // 'postgres', <<'SQL');
CREATE TABLE customers (id int PRIMARY KEY, name text, email text, ssn text);
INSERT INTO customers VALUES
    (1, 'Alice', 'alice@example.com', '078-05-4801'),
    (2, 'Mallory', 'mallory@example.com', '219-09-2210');
SECURITY LABEL FOR warden ON COLUMN customers.email IS 'email';
SECURITY LABEL FOR warden ON COLUMN customers.ssn IS 'ssn';
CREATE ROLE support_agent LOGIN;
CREATE ROLE shop_writer;
CREATE ROLE shop_reviewer LOGIN;
GRANT SELECT, UPDATE ON customers TO support_agent, shop_writer;
GRANT warden_reviewer, shop_writer TO shop_reviewer;
SECURITY LABEL FOR warden ON ROLE support_agent IS 'agent';
SELECT warden.create_agent('support', 'support_agent', 'shop_writer');
SELECT warden.add_person('rita', 'shop_reviewer');
SQL
    return;
}

=item wait_for_sql(node, sql)

Waits until the query, asked by the superuser, answers true.

=cut

sub wait_for_sql
{
    my ($node, $sql, %options) = @_;

    return $node->poll_query_until($options{dbname} // 'postgres', $sql);
}

=pod

=item wait_for_server(node)

Waits until a server that crashed answers again. A psql that is turned away can
be gone before it has been sent its query: that is no answer yet, not an error
of the test.

=cut

sub wait_for_server
{
    my ($node) = @_;

    foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
    {
        return 1
          if eval { $node->safe_psql('postgres', 'SELECT true') eq 't' };
        usleep(100_000);
    }
    die 'the server did not come back';
}

=item wire_connect(node, role)

A connection that speaks the protocol itself, for what psql does not send. In a
list the number of its backend follows.

=item wire_message(type, body)

One message. Of some kinds there is more to say:

=item wire_query(sql), wire_parse(name, sql), wire_bind(portal, name, values...), wire_execute(portal, rows)

=item wire_statement(portal, sql, rows)

Those that parse, bind and execute a statement, without a Sync.

=item wire_converse(connection, messages)

Sends messages. Returns the types of those that come back until the server is
idle, then the SQLSTATEs of the errors among them.

=item wire_answers(connection, messages)

Sends messages. Returns what they give: rows, with a bar between their values,
and SQLSTATEs of errors.

=cut

sub wire_message
{
    my ($type, $body) = @_;

    return $type . pack('N', length($body) + 4) . $body;
}

sub wire_query { return wire_message('Q', "$_[0]\0") }

sub wire_parse { return wire_message('P', "$_[0]\0$_[1]\0" . pack('n', 0)) }

sub wire_bind
{
    my ($portal, $name, @values) = @_;
    my $texts = join '', map { pack('N/a', $_) } @values;

    return wire_message('B', "$portal\0$name\0" . pack('nn', 0, scalar @values)
          . $texts . pack('n', 0));
}

sub wire_execute
{
    my ($portal, $rows) = @_;

    return wire_message('E', "$portal\0" . pack('N', $rows // 0));
}

sub wire_statement
{
    my ($portal, $sql, $rows) = @_;

    return wire_parse('', $sql) . wire_bind($portal, '')
      . wire_execute($portal, $rows);
}

# All messages that come back, as pairs of type and body.
sub exchange
{
    my ($socket, $messages) = @_;
    my @received;

    print $socket $messages;
    while (1)
    {
        my ($head, $body) = ('', '');

        read($socket, $head, 5) == 5 or die 'the server went away';
        my ($type, $length) = unpack 'aN', $head;
        read($socket, $body, $length - 4) if $length > 4;
        push @received, [ $type, $body ];
        return @received if $type eq 'Z';
    }
}

sub sqlstate
{
    my ($body) = @_;

    return $body =~ /\0C(\w{5})\0/ ? $1 : ();
}

sub wire_converse
{
    my @received = exchange(@_);

    return (join('', map { $_->[0] } @received),
        map { $_->[0] eq 'E' ? sqlstate($_->[1]) : () } @received);
}

sub wire_answers
{
    my @answers;

    foreach (exchange(@_))
    {
        my ($type, $body) = @$_;

        push @answers, sqlstate($body) if $type eq 'E';
        next if $type ne 'D';
        my ($count, @fields) = unpack 'n(N/a)*', $body;

        push @answers, join('|', @fields);
    }
    return @answers;
}

sub wire_connect
{
    my ($node, $role) = @_;
    my $socket = IO::Socket::UNIX->new(
        Peer => $node->host . '/.s.PGSQL.' . $node->port)
      or die "no connection: $!";
    my $startup = pack('N', 196608) . "user\0$role\0database\0postgres\0\0";

    $socket->autoflush(1);
    my @received = exchange($socket, pack('N', length($startup) + 4) . $startup);
    my ($key) = grep { $_->[0] eq 'K' } @received;

    return wantarray ? ($socket, unpack('N', $key->[1])) : $socket;
}

=back

=cut

1;
