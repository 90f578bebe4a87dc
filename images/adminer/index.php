<?php
// Adminer for the one database that it stands beside, and for no other server that this network reaches.

function adminer_object()
{
    return new class extends Adminer\Adminer {
        public function credentials(): array
        {
            return [getenv("MLFLOW_POSTGRES_HOST"), $_GET["username"], Adminer\get_password()];
        }

        // Otherwise the browser of whoever opens the page asks adminer.org for a newer version.
        public function head($dark = null)
        {
            echo Adminer\script("verifyVersion = () => {};");
            return parent::head($dark);
        }

        public function loginForm(): void
        {
            parent::loginForm();
            $roles = [
                getenv("MLFLOW_POSTGRES_READONLY_USER") => ["only reads, and no credentials", "postgres_readonly_password"],
                getenv("MLFLOW_POSTGRES_USER") => ["changes rows as well", "postgres_password"],
            ];
            foreach ($roles as $user => [$may, $output]) {
                echo "<p><a href='" . Adminer\h(address($user)) . "'>" . Adminer\h($user) . "</a> $may: its password is",
                    " <code>bin/pulumi stack output $output --show-secrets</code>\n";
            }
        }
    };
}

// The login form with everything filled in but the password.
function address(string $user): string
{
    $database = getenv("MLFLOW_POSTGRES_DATABASE");
    return "?" . http_build_query(["pgsql" => getenv("MLFLOW_POSTGRES_HOST"), "username" => $user, "db" => $database]);
}

// Without an address of its own, the form is one for MySQL on this very machine.
if (!$_GET && $_SERVER["REQUEST_METHOD"] === "GET") {
    header("Location: " . address(getenv("MLFLOW_POSTGRES_USER")));
    exit;
}
include "/usr/share/adminer/adminer.php";
