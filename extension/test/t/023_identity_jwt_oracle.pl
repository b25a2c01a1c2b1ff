# JWTs against another implementation: some hundred tokens, whole and mutated,
# of each algorithm, and what jwcrypto says of them. What it refuses is refused;
# what it accepts is accepted but for rules of ours that are stricter.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $python = '/usr/bin/python3';
plan skip_all => 'python3-jwcrypto is not installed'
  unless -x $python && system("$python -c 'import jwcrypto' 2>/dev/null") == 0;

my $issuer = 'https://issuer.example';
my @seeds = $ENV{WARDEN_FULL} ? (1 .. 20) : (1);
my $node = warden_node('main', conf => "warden.enter_attempts = 1000\n");
warden_shop($node);
$node->safe_psql('postgres', <<"SQL");
CREATE ROLE gateway LOGIN NOINHERIT IN ROLE warden_gateway;
SELECT warden.set_issuer('$issuer', 'shop');
SELECT warden.map_subject('$issuer', 'client', 'support');
SQL

sub tokens_of
{
    my ($seed) = @_;
    my ($out, $err) = ('', '');

    IPC::Run::run(
        [ $python, "$FindBin::RealBin/../jwt_oracle.py", $issuer, 'shop', $seed ],
        '<', '/dev/null', '>', \$out, '2>', \$err, IPC::Run::timeout(120))
      or die "the oracle failed: $err";
    my ($jwks, @lines) = split /\n/, $out;
    return ($jwks, map { my %t; @t{qw(oracle may what token)} = split /\t/; \%t } @lines);
}

# Our verdict on each, in one session.
sub judge
{
    my @tokens = @_;
    my $script = "\\set ON_ERROR_STOP 0\n";

    for my $n (0 .. $#tokens)
    {
        my $quoted = $tokens[$n]{token} =~ s/'/''/gr;

        $script .= "\\echo \@$n\nBEGIN;\n"
          . "SELECT warden.enter('$quoted', NULL, '{}', 'k');\n"
          . "SELECT current_setting('warden.agent') || '!';\nROLLBACK;\n"
          . "SELECT warden.leave('k'); ROLLBACK;\n";
    }
    my ($code, $out, $err) =
      warden_psql($node, 'gateway', $script, on_error_stop => 0);
    my $at = -1;

    for (split /\n/, $out)
    {
        $at = $1 if /^\@(\d+)$/;
        $tokens[$at]{ours} = 'accept' if /^support!$/ && $at >= 0;
    }
    $_->{ours} //= 'refuse' for @tokens;
    is($at, $#tokens, 'every token was judged');
    my %states = map { $_ => 1 } $err =~ /ERROR:  (\w+): credential/g;
    is_deeply([ keys %states ], ['WD001'], 'and refused in one way');
    unlike($err, qr/ERROR:  (XX|58|53)|FATAL|server closed/,
        'with no other kind of error');
    return;
}

for my $seed (@seeds)
{
    my ($jwks, @tokens) = tokens_of($seed);

    is($node->safe_psql('postgres',
            "SELECT warden.set_identity_keys('$issuer', '$jwks')"),
        '3', "seed $seed: the oracle's keys are taken");
    cmp_ok(scalar @tokens, '>', 500, 'some hundred tokens');
    cmp_ok(scalar(grep { $_->{oracle} eq 'accept' } @tokens), '>', 50,
        'good ones among them');
    judge(@tokens);
    my @forged = grep { $_->{ours} eq 'accept' && $_->{oracle} ne 'accept' } @tokens;
    my @lost = grep {
        $_->{ours} ne 'accept' && $_->{oracle} eq 'accept' && $_->{may} eq 'same'
    } @tokens;

    is(scalar @forged, 0, 'what the oracle refuses is refused');
    is(scalar @lost, 0, 'what it accepts is accepted');
    diag("$_->{what}: oracle $_->{oracle}, we $_->{ours}: $_->{token}")
      for splice(@forged, 0, 5), splice(@lost, 0, 5);
}

$node->stop;
done_testing();
