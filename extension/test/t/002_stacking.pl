# Other libraries that take the same hooks, loaded before us and after us: what
# we promise must not depend on the order, and neither must what they do.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $conf = <<'CONF';
auto_explain.log_min_duration = 0
auto_explain.log_analyze = on
compute_query_id = on
CONF

my @others = qw(pg_stat_statements auto_explain);

foreach my $order ([ 'after', \@others, [] ], [ 'before', [], \@others ])
{
    my ($name, $before, $after) = @$order;
    my $node = warden_node(
        "loaded_$name",
        conf => $conf,
        before => $before,
        after => $after);

    $node->safe_psql('postgres', 'CREATE EXTENSION pg_stat_statements');
    warden_shop($node);

    warden_ok(
        $node, 'support_agent',
        'SELECT email, ssn FROM customers ORDER BY id',
        "a******\@example.com|***-**-4801\nm******\@example.com|***-**-2210",
        "loaded $name them: reads are masked");
    warden_ok($node, 'support_agent',
        q{SELECT count(*) FROM customers WHERE ssn = '078-05-4801'},
        '0', "loaded $name them: predicates see masks");

    my ($code, $out, $err) =
      warden_psql($node, 'support_agent',
        q{UPDATE customers SET name = 'x' WHERE id = 1});
    is($code, 0, "loaded $name them: a write completes");
    like($err, qr/WARNING:  01WD1:/, "loaded $name them: as a pending change");
    is( $node->safe_psql(
            'postgres', q{SELECT name FROM customers WHERE id = 1}),
        'Alice', "loaded $name them: and is not run");

    warden_fails($node, 'support_agent', q{SELECT pg_sleep(0), pg_notify('a','')},
        'WD002', "loaded $name them: a forbidden function is refused");
    is( $node->safe_psql(
            'postgres', q{SELECT email FROM customers WHERE id = 1}),
        'alice@example.com', "loaded $name them: people see clear text");

    cmp_ok(
        $node->safe_psql(
            'postgres',
            q{SELECT count(*) FROM pg_stat_statements
               WHERE query LIKE 'SELECT email, ssn FROM customers%'}),
        '>', 0, "loaded $name them: they still see the statements");
    like(slurp_file($node->logfile), qr/Query Text: SELECT email, ssn FROM/,
        "loaded $name them: and the plans");
    $node->stop;
}

done_testing();
