"""Raw images for captioning, spooled encrypted until they are described."""
