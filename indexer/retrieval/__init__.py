"""From a query to ranked images: the one path that everything uses."""
