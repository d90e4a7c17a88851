"""Many people, many jobs: what a whole job costs as it grows."""
