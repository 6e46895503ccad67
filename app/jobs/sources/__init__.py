"""Where imports come from: folders, archives and manifests, all read as one stream of entries."""
