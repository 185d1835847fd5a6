"""What the guards that ask the compiler share."""
import os
import subprocess

FLAGS = ["-std=c++23", "-Wall", "-Wextra"]


def syntax(compiler, root, source, *flags):
    """Compiles without output; returns (succeeded, messages)."""
    done = subprocess.run([compiler, *FLAGS, "-fsyntax-only", f"-I{root}/include", f"-I{root}/src", *flags, str(source)],
                          capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    return done.returncode == 0, done.stderr
