# Statements that are cancelled, by a person or by statement_timeout, whatever
# they are doing at that moment: each has an outcome, it is what the client was
# told, and the chain is whole. When a cancel meets a statement is chance; what
# has to hold afterwards is not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $clients = 8;
my $statements = $ENV{WARDEN_FULL} ? 6000 : 400;
my $node = warden_node('main', conf => "max_connections = 40\n");

warden_shop($node);
$node->safe_psql('postgres', <<'SQL');
INSERT INTO customers SELECT i, 'n' || i, 'e' || i || '@example.com', '078-05-4801'
  FROM generate_series(3, 2000) i;
CREATE FUNCTION names() RETURNS bigint LANGUAGE plpgsql STABLE
    AS $$ BEGIN RETURN (SELECT count(name) FROM customers); END $$;
SELECT warden.allow_function('names()');
CREATE ROLE hasty_agent LOGIN;
GRANT SELECT, UPDATE ON customers TO hasty_agent;
SECURITY LABEL FOR warden ON ROLE hasty_agent IS 'agent';
SELECT warden.create_agent('hasty', 'hasty_agent', 'shop_writer');
ALTER ROLE hasty_agent SET statement_timeout = '4ms';
SQL

# What a statement with this number does; each returns its token, or is a
# write, whose record has it.
my @kinds = (
    sub { "SELECT '$_[0]', count(*) FROM customers WHERE id = 1" },
    sub { "SELECT '$_[0]', count(DISTINCT md5(a.email || b.id)) FROM customers a, customers b WHERE b.id < 9" },
    sub { "SELECT '$_[0]', names()" },
    sub { "UPDATE customers SET name = '$_[0]' WHERE id = 1" },
    sub { "COPY (SELECT '$_[0]', max(ssn) FROM customers) TO STDOUT" },
    sub { "SELECT '$_[0]', email FROM customers ORDER BY email LIMIT 1" },
    sub { "BEGIN; DECLARE c CURSOR FOR SELECT '$_[0]', email FROM customers; FETCH 3 FROM c; COMMIT" },
    sub { "SELECT '$_[0]', 1 / (id - id) FROM customers" });

# One psql session for each; a token says round, client and statement.
sub start_load
{
    my @load;

    for my $client (1 .. $clients)
    {
        my $name = "$PostgreSQL::Test::Utils::tmp_check/cancel.$client";

        open my $file, '>', "$name.in" or die "$name.in: $!";
        for my $n (1 .. $statements)
        {
            my $sql = $kinds[ $n % @kinds ]->("t-$client-$n-");

            # one message for each statement
            print $file "$_;\n" for split /; /, $sql;
            print $file "\\echo done t-$client-$n- :SQLSTATE\n";
        }
        close $file;
        push @load,
          { name => $name,
            harness => IPC::Run::start(
                [
                    $node->installed_command('psql'), '-XAtq', '-d',
                    $node->connstr('postgres') . ' user='
                      . ($client % 2 ? 'support_agent' : 'hasty_agent')
                ],
                '<' => "$name.in", '>' => "$name.out", '2>' => "$name.err") };
    }
    return @load;
}

sub cancel_at_random
{
    my @load = start_load();
    my $theirs = "usename IN ('support_agent', 'hasty_agent')";
    wait_for_sql($node, "SELECT count(*) > 0 FROM pg_stat_activity WHERE $theirs");
    while ($node->safe_psql('postgres', <<"SQL"))
DO \$\$
BEGIN
    FOR i IN 1 .. 20 LOOP
        PERFORM pg_sleep(random() * 0.01), pg_stat_clear_snapshot();
        PERFORM pg_cancel_backend(pid) FROM pg_stat_activity
          WHERE $theirs AND state <> 'idle' AND random() < 0.5;
    END LOOP;
END \$\$;
SELECT 'more' FROM pg_stat_activity WHERE $theirs LIMIT 1;
SQL
    {
        # and again
    }
    $_->{harness}->finish for @load;

    # What the clients were told.
    my (%told, $interrupted);
    for my $client (1 .. $clients)
    {
        my $out = slurp_file("$load[ $client - 1 ]{name}.out");

        $told{$1} = $2 while $out =~ /^done (t-\d+-\d+-) (\w+)$/mg;
        $interrupted += () =
          slurp_file("$load[ $client - 1 ]{name}.err") =~ /canceling statement/g;
    }
    is(scalar keys %told, $clients * $statements, 'no session was lost');
    cmp_ok($interrupted, '>=', $statements / 10, 'statements were cancelled');
    note("$interrupted statements were cancelled");

    #
    # What the trail says
    #
    $node->safe_psql('postgres', 'SELECT warden.flush_audit()');
    is($node->safe_psql('postgres', 'SELECT * FROM warden.verify_audit()'),
        '', 'the chain is whole');
    is( $node->safe_psql('postgres',
            q{SELECT count(*) - count(DISTINCT id), count(*) - max(id)
                FROM warden.audit_events}),
        '0|0', 'no number is there twice, none is missing');
    is( $node->safe_psql('postgres',
            q{SELECT outcome, count(*) FROM warden.audit_log
               WHERE outcome IN ('running', 'unknown') GROUP BY 1}),
        '', 'every statement has an outcome');
    is( $node->safe_psql('postgres',
            q{SELECT count(*) FROM (SELECT statement_id FROM warden.audit_events
               WHERE kind = 'outcome' GROUP BY 1 HAVING count(*) > 1) twice}),
        '0', 'and one only');

    my (%recorded, %twice);
    for (split /\n/, $node->safe_psql('postgres',
            q{SELECT substring(statement, 't-\d+-\d+-'), outcome,
                     coalesce(sqlstate, '00000')
                FROM warden.audit_log WHERE statement ~ 't-\d+-\d+-'}))
    {
        my ($token, $outcome, $sqlstate) = split /\|/;

        $twice{$token} = 1 if $recorded{$token};
        $recorded{$token} = "$outcome $sqlstate";
    }
    my @missing = sort grep { !$recorded{$_} } keys %told;
    is("@missing", '', 'every statement that was sent is there');
    is(join(' ', keys %twice), '', 'once');

    # A cursor's FETCH and COMMIT end otherwise than the DECLARE that has the token.
    my @wrong;
    for my $token (grep { !/-(\d+)-$/ || $1 % @kinds != 6 } keys %told)
    {
        # psql tells no error of a COPY that broke off after its last row
        my $expected = $told{$token} eq '00000' && $token =~ /-(\d+)-$/
          && $1 % @kinds == 4 ? qr/^(ok 00000|error 57014)$/
          : $told{$token} eq '00000' ? qr/^(ok|diverted) 00000$/
          : $told{$token} eq '01WD1' ? qr/^diverted /
          : qr/^(error|refused) $told{$token}$/;

        push @wrong, "$token told $told{$token}, recorded $recorded{$token}"
          unless !$recorded{$token} || $recorded{$token} =~ $expected;
    }
    is(join("\n", @wrong), '', 'with the outcome that the client was told');
    is( $node->safe_psql('postgres',
            q{SELECT count(*) FROM warden.audit_log l
               WHERE (outcome = 'diverted') <> EXISTS (
                    SELECT FROM warden.change_statements s
                     WHERE s.change_id = l.change_id)
                 AND command = 'UPDATE'}),
        '0', 'what was diverted, and nothing else, is a change');
    warden_ok($node, 'support_agent', 'SELECT count(*) FROM customers', '2000',
        'and agents work on');
    return;
}

cancel_at_random();

# Before a statement is parsed nobody knows whose session it is; all that fails
# until then is recorded once that is known.
warden_psql($node, 'support_agent',
    join('', map { "selec 'early $_';\n" } 1 .. 300) . "SELECT 'late'",
    on_error_stop => 0);
$node->safe_psql('postgres', 'SELECT warden.flush_audit()');
is( $node->safe_psql('postgres', <<'CHECK'), "257|256\nt", 'early errors are there');
SELECT count(*), count(DISTINCT statement) FROM warden.audit_log
 WHERE outcome = 'error' AND (statement LIKE 'selec%' OR message LIKE '44 more%');
SELECT max(id) < (SELECT id FROM warden.audit_log WHERE statement = $$SELECT 'late'$$)
  FROM warden.audit_log WHERE statement LIKE 'selec%';
CHECK

$node->stop;
done_testing();
