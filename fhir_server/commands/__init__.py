"""The commands of `fhir-server`, one file each, named in cli.COMMANDS. https://click.palletsprojects.com/"""
