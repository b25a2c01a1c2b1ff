# The README's tables of functions and views say what the extension installs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";

use PostgreSQL::Test::Utils;
use Test::More;
use WardenTest;

my $node = warden_node('main');
$node->safe_psql('postgres', 'CREATE EXTENSION IF NOT EXISTS pg_warden');

local %ENV = (%ENV,
    PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres');
command_ok(
    [ 'python3', "$FindBin::RealBin/../../../docs/reference.py", '--check' ],
    'the tables are what docs/reference.py writes');

$node->safe_psql('postgres',
    q{COMMENT ON FUNCTION warden.purge(timestamptz) IS 'something else'});
command_fails(
    [ 'python3', "$FindBin::RealBin/../../../docs/reference.py", '--check' ],
    'and it tells when they are not');

$node->stop;
done_testing();
